"""Summaries and what is told of them: from an article and the tokens that the model wrote of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

if __package__:
    from reading import sentences

    from . import quotes, unsupported
else:  # Triton imports its backend as the module "model", with its folder on the path
    import quotes  # type: ignore[import-not-found, no-redef]
    import sentences  # type: ignore[import-not-found, no-redef]
    import unsupported  # type: ignore[import-not-found, no-redef]

ELLIPSIS = "\u2026"
Quote = dict[str, Any]
_SENTENCE_END = re.compile(r"""[.!?\u2026]["'\u201d\u2019)\]]*(?=\s+["'\u201c\u2018(\[]*[A-Z0-9]|$)""")
_SHORT_FORM = re.compile(
    r"(?:\b[A-Za-z]|\b(?:mr|mrs|ms|dr|prof|gov|sen|rep|gen|col|lt|sgt|capt|st|sr|jr|no|vs|inc|co|corp|ltd))$",
    re.IGNORECASE,
)


def cut_unfinished(text: str) -> str:
    """The text up to the end of its last whole sentence; all of it and an ellipsis when no sentence is whole.

    A full stop after an initial ("George W.", "U.S.") or a title ("Mr.") ends no sentence.
    """
    ends = [match for match in _SENTENCE_END.finditer(text) if not _SHORT_FORM.search(text, 0, match.start())]
    if ends:
        return text[: ends[-1].end()]
    return text.rstrip(" ,;:-") + ELLIPSIS


@dataclass(frozen=True, kw_only=True)
class Written:
    """A summary."""

    text: str
    sentences: Sequence[Quote] = ()
    """The sentences of the article that it quotes: ``index``, ``start`` and ``end`` in its characters, and
    ``truncated`` where one was cut."""
    unsupported: Sequence[unsupported.Span] = ()
    """What it says that the article does not hold."""


def own(source: quotes.Source) -> Written:
    """The summary of an article that is its own."""
    if source.extractive:
        return _quoting(source, range(len(source.sentences)))
    text = " ".join(source.text.split())
    return Written(text=text, sentences=_quoted_in(text, source))


def free(text: str, source: quotes.Source, common: Collection[str], *, check: bool) -> Written:
    """A summary in the model's own words.

    Args:
        text: What it wrote.
        source: Its article.
        common: As in `unsupported.find`.
        check: Whether it is asked for what the article does not hold.
    """
    spans = unsupported.find(text, source.text, common) if check else ()
    return Written(text=text, sentences=_quoted_in(text, source), unsupported=spans)


def extractive(parsed: quotes.Parsed, source: quotes.Source, decode: Callable[[int], str]) -> Written:
    """A summary of whole sentences of its article.

    Args:
        parsed: Which they are.
        source: Its article.
        decode: Makes text of the last so many tokens of the row.

    Raises:
        NoQuoteError: The article has fewer sentences.
    """
    if max(parsed.indices, default=-1) >= len(source.sentences):
        raise quotes.NoQuoteError("the tokenizer tells of fewer sentences than it has marked")
    if not parsed.cut:
        return _quoting(source, parsed.indices)
    whole = _quoting(source, parsed.indices[:-1])
    start, end = source.sentences[parsed.indices[-1]]
    until = quotes.end_of_written(source.text, start, end, decode(parsed.cut))
    if until == end:  # without its dateline it has no more tokens than that
        return _quoting(source, parsed.indices)
    cut = {"index": parsed.indices[-1], "start": start, "end": until, "truncated": True}
    text = f"{whole.text} {source.text[start:until]}{ELLIPSIS}".lstrip()
    return Written(text=text, sentences=[*whole.sentences, cut])


def _quoting(source: quotes.Source, indices: Sequence[int]) -> Written:
    spans = [source.sentences[index] for index in indices]
    return Written(
        text=" ".join(source.text[start:end] for start, end in spans),
        sentences=[
            {"index": index, "start": start, "end": end} for index, (start, end) in zip(indices, spans, strict=True)
        ],
    )


def _quoted_in(text: str, source: quotes.Source) -> list[Quote]:
    """The sentences of a text that are the article's, but for the width of blanks; of equal ones the first not used."""
    places: dict[str, list[int]] = {}
    for index, (start, end) in enumerate(source.sentences):
        places.setdefault(" ".join(source.text[start:end].split()), []).append(index)
    found = []
    for start, end in sentences.split(text):
        if indices := places.get(" ".join(text[start:end].split())):
            index = indices.pop(0) if len(indices) > 1 else indices[0]
            first, last = source.sentences[index]
            found.append({"index": index, "start": first, "end": last})
    return found
