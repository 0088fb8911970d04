"""Which sentences of an article a row of tokens quotes, and where these stand in its text."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

if __package__:
    from reading.windows import NEVER_ENDS, opens
else:  # Triton imports its backend as the module "model", with its folder on the path
    from windows import NEVER_ENDS, opens  # type: ignore[import-not-found, no-redef]

MARKS = ("\u0120", "\u2581")
"""What a token of a vocabulary begins with that stands for a blank and a word: that of byte-level ones, and of others.
"""
_MOST_STEPS = 1_000


class NoQuoteError(RuntimeError):
    """Tokens that must be whole sentences of the article are not: the model or its export is broken."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The article behind a row."""

    text: str
    sentences: tuple[tuple[int, int], ...]
    """Where each sentence begins in ``text``, and the character after its last one."""
    extractive: bool
    """Whether the summary must consist of them."""
    verbatim: bool
    """Whether the article is its own summary."""
    tokens: tuple[int, ...] | None = None
    """How many tokens each sentence has, up to the last that the model has read; 0 for one that it has not read to its
    end. Where there are none, the model itself has quoted."""
    room: int = 0
    """How many tokens a summary of such sentences may have."""
    least: int = 0
    """How many it shall have, where the sentences are chosen."""
    chosen: bool = False
    """Whether the model says of the article's words which sentences these are, rather than write any."""

    @classmethod
    def read(cls, document: bytes) -> Source:
        """The article that the tokenizer hands on, as JSON."""
        given = json.loads(document)
        return cls(
            text=given["text"],
            sentences=tuple((start, end) for start, end in given["sentences"]),
            extractive={"extractive": True, "free": False}[given["style"]],
            verbatim=given["verbatim"],
            tokens=tuple(given["tokens"]) if "tokens" in given else None,
            room=given.get("room", 0),
            least=given.get("least", 0),
            chosen=given.get("choice", False) and given["style"] == "extractive",
        )


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence of the article as the model read it."""

    tokens: tuple[int, ...]
    whole: bool
    """Whether it was read to its end."""


def read_sentences(ids: npt.NDArray[np.integer[Any]], ends: npt.NDArray[np.integer[Any]]) -> list[Sentence]:
    """The sentences that a model read, in their order.

    Args:
        ids: The tokens of the article, [L].
        ends: For each the index of the last token of its sentence, -1 for none, or `NEVER_ENDS`, [L].
    """
    first = np.flatnonzero(opens(ends))
    found = []
    for start, following in pairwise([*first.tolist(), len(ends)]):
        whole = ends[start] != NEVER_ENDS
        # One that was cut has all tokens up to where the values change.
        length = ends[start] + 1 - start if whole else int((ends[start:following] == NEVER_ENDS).sum())
        found.append(Sentence(tokens=tuple(ids[start : start + length].tolist()), whole=bool(whole)))
    return found


def twins(vocabulary: Mapping[str, int]) -> dict[int, int]:
    """Each token that is a word after a blank, and that word's token without the blank: both ways."""
    found = {}
    for text, token in vocabulary.items():
        if text.startswith(MARKS) and (other := vocabulary.get(text[1:])) is not None:
            found[token], found[other] = other, token
    return found


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What a row of tokens consists of."""

    indices: tuple[int, ...]
    """The sentences, in the order of the row."""
    cut: int = 0
    """How many tokens there are of the last one, where the greatest length cut it off; 0 where it is whole."""


def parse(
    tokens: Sequence[int], sentences: Sequence[Sentence], twins: Mapping[int, int], *, may_be_cut: bool
) -> Parsed:
    """Take tokens apart into whole sentences of the article.

    One sentence may be the beginning of another one, so this searches: longer ones first, and of equal ones the first
    that is not used yet. The first token of a sentence may come with or without its blank.

    Args:
        tokens: The tokens of a summary, without those around it.
        sentences: The sentences that the model read.
        twins: As `twins` returns them.
        may_be_cut: Whether the last sentence may lack its end.

    Raises:
        NoQuoteError: They are none.
    """
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for index, sentence in enumerate(sentences):
        for token in {sentence.tokens[0], twins.get(sentence.tokens[0], sentence.tokens[0])}:
            starts[token].append(index)
    row = tuple(tokens)
    # That each is used once makes the search long where an article was written to make it so; it can do without.
    for once in (True, False):
        try:
            found = _Search(row, sentences, starts, may_be_cut=may_be_cut, once=once).run()
        except _TooLongError:
            continue
        if found is not None:
            return found
    raise NoQuoteError("the summary must consist of sentences of the article, and its tokens do not")


class _TooLongError(Exception):
    """The search has taken too many steps."""


class _Search:
    """A search for the sentences of a row, depth first.

    Args:
        row: The tokens.
        sentences: The sentences that there are.
        starts: Those that may begin with a token, by it, in their order.
        may_be_cut: As in `parse`.
        once: Whether each sentence may be used once only.
    """

    def __init__(
        self,
        row: tuple[int, ...],
        sentences: Sequence[Sentence],
        starts: Mapping[int, list[int]],
        *,
        may_be_cut: bool,
        once: bool,
    ) -> None:
        self._row, self._sentences, self._starts = row, sentences, starts
        self._may_be_cut, self._once = may_be_cut, once
        self._failed: set[tuple[int, frozenset[int]]] = set()
        self._steps = 0

    def run(self) -> Parsed | None:
        """The sentences of the whole row, or None.

        Raises:
            _TooLongError: It takes too long.
        """
        for cut in (False, True) if self._may_be_cut else (False,):
            self._failed.clear()
            if (found := self._from(0, frozenset(), cut=cut)) is not None:
                return found
        return None

    def _from(self, at: int, used: frozenset[int], *, cut: bool) -> Parsed | None:
        if at == len(self._row):
            return None if cut else Parsed(indices=())
        if (at, used) in self._failed:
            return None
        self._steps += 1
        if self._once and self._steps > _MOST_STEPS:
            raise _TooLongError
        for length, index in sorted(self._fitting(at, used), reverse=True):
            rest = self._from(at + length, used | {index} if self._once else used, cut=cut)
            if rest is not None:
                return Parsed(indices=(index, *rest.indices), cut=rest.cut)
        if cut and (begun := self._begun(at, used)) is not None:
            return Parsed(indices=(begun,), cut=len(self._row) - at)
        self._failed.add((at, used))
        return None

    def _fitting(self, at: int, used: Collection[int]) -> Iterable[tuple[int, int]]:
        """The whole sentences that stand at a place: of each length the first."""
        found: dict[int, int] = {}
        for index in self._starts.get(self._row[at], ()):
            sentence = self._sentences[index]
            length = len(sentence.tokens)
            fits = sentence.whole and self._row[at + 1 : at + length] == sentence.tokens[1:]
            if fits and index not in used:
                found.setdefault(length, index)
        return found.items()

    def _begun(self, at: int, used: Collection[int]) -> int | None:
        """The first sentence that the rest of the row is the beginning of."""
        rest = self._row[at + 1 :]
        for index in self._starts.get(self._row[at], ()):
            if index not in used and self._sentences[index].tokens[1 : 1 + len(rest)] == rest:
                return index
        return None


def end_of_written(text: str, start: int, end: int, written: str) -> int:
    """Where the words end of a sentence that was written in part.

    Args:
        text: The article.
        start: The first character of the sentence.
        end: The character after its last one.
        written: As much of it as was written: as many characters of it, but for blanks and characters that show
            nothing, which tokenizers may drop.

    Returns:
        The character after the last whole word; or after the last character, where there is no whole word; or after the
        first one that shows, where no character is whole: something is always quoted.
    """
    at = start
    for _ in range(sum(map(_shows, written.rstrip("\ufffd")))):  # the last character may lack bytes
        while at < end and not _shows(text[at]):
            at += 1
        at = min(at + 1, end)
    if at < end and _within_word(text[at : at + 2]):
        blank = max(text.rfind(char, start, at) for char in {*filter(str.isspace, text[start:at])} or {" "})
        at = blank if blank > start else at
    words = text[start:at].rstrip().rstrip(" ,;:-\u2013\u2014")
    return start + len(words) if any(map(_shows, words)) else _first_shown(text, start, end)


def _first_shown(text: str, start: int, end: int) -> int:
    """The character after the first letter or digit of a sentence, which has one."""
    return next((at + 1 for at in range(start, end) if text[at].isalnum()), end)


def _shows(char: str) -> bool:
    return not char.isspace() and unicodedata.category(char) not in ("Cc", "Cf")


def _within_word(following: str) -> bool:
    """Whether the word before two characters goes on in them."""
    first, second = following[:1], following[1:]
    return not first.isspace() and (unicodedata.category(first)[0] != "P" or second.isalnum())
