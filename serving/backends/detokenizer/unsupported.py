"""What a summary says that its article does not: numbers, names and quotations that stand nowhere in it.

It compares words, and knows no more: a name in the wrong place is not found, and neither is a fact in other words.
Whatever has a right to differ is let pass (a number written out, a name in capitals, a possessive, other quotation
marks), so that what is shown is worth a look.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

if __package__:
    from . import numerals
else:  # Triton imports its backend as the module "model", with its folder on the path
    import numerals  # type: ignore[import-not-found, no-redef]

Span = dict[str, Any]

_WORD = re.compile(r"[^\W\d_]\w*(?:['\u2019.&-]\w+)*")
_ENDING = re.compile(r"['\u2019]s?$", re.IGNORECASE)
_SMALL = """
    a an the this that these those such some any each every all both either neither no none many much few more
    most several another other i he she it we they you his her its their our my your who whom whose which what
    when where why how there here one once and or but nor yet so if although though because while whilst whereas
    unless until since as after before during despite amid among between about above across against along around
    at behind below beneath beside besides beyond by down for from in inside into like near of off on onto out
    outside over past per than through throughout to toward towards under up upon via with within without also
    however meanwhile moreover furthermore nevertheless nonetheless therefore thus then now today yesterday
    tomorrow later earlier recently still instead indeed finally first second third last next previously
    currently just only even not never often sometimes perhaps maybe nobody everyone everybody someone somebody
    anyone anybody nothing everything something unlike plus given thanks overall alongside elsewhere according
    following including is are was were be been being am has have had do does did will would can could may might
    must shall should let lets says said yes mr mrs ms miss dr sir dame lord lady prof rev st
"""
_SMALL_WORDS = frozenset(_SMALL.split())
"""Words with a capital at the start of a sentence that name nothing, and titles."""
_STARTS = re.compile(
    r"(?:^|[.!?\u2026:;\u2022\u2013\u2014(\[\"\u201c\u2018]|(?<!\w)')[\s\"'\u201c\u2018\u201d\u2019)(\[-]*$"
)
"""What stands before the first word of a sentence, or of what counts as one: a quotation, a bracket, a clause."""
_QUOTATION = re.compile(
    r"(?<!\w)[\"\u201c](?=\S)([^\"\u201c\u201d]+)(?<=\S)[\"\u201d](?!\w)"
    r"|(?<!\w)['\u2018](?=\S)(.+?)(?<=\S)['\u2019](?!\w)",
    re.DOTALL,
)
_LEFT_OUT = re.compile(r"\.\.\.|\u2026|\[[^\]]*\]")
"""Where somebody who quotes has left words out, or put some of his own."""
_MARKS = str.maketrans("\u2013\u2014\u2011", "---", "\"'`\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u201a")
_GOES_ON = re.compile(r"[.,]\d")
_APOSTROPHE = re.compile(r"['\u2019]")
_FORMED = re.compile("(?:ing|ly|ed)$")
"""Endings of adverbs and participles, which open many sentences, and of few names."""
_LEAST_WORDS = 3
"""A quotation of fewer is a word that somebody uses, rather than what somebody said."""


def find(summary: str, article: str, common: Collection[str] = ()) -> list[Span]:
    """Find what a summary says that its article does not hold.

    Args:
        summary: The summary.
        article: The whole article.
        common: Words in small letters that name nothing, such as those of the model's vocabulary: one of them with a
            capital at the start of a sentence is no name.

    Returns:
        Spans that do not overlap, in order: ``start`` and ``end`` in characters of the summary, ``text``, and ``kind``:
        ``number``, ``name`` or ``quotation``.
    """
    held = _Held(article)
    taken = [False] * len(summary)
    found: list[Span] = []
    spans = {
        "quotation": _quotations(summary, held),
        "number": _numbers(summary, held),
        "name": _names(summary, held, common),
    }
    for kind, places in spans.items():
        for start, end in places:
            if not any(taken[start:end]):
                taken[start:end] = [True] * (end - start)
                found.append({"start": start, "end": end, "text": summary[start:end], "kind": kind})
    return sorted(found, key=lambda span: span["start"])


@dataclass(frozen=True)
class _Held:
    """An article as it is looked up; what takes long is made when it is first needed."""

    text: str

    @cached_property
    def folded(self) -> str:
        return self.text.casefold().replace("\u2019", "'")

    @cached_property
    def numbers(self) -> frozenset[str]:
        return numerals.values(self.text)

    @cached_property
    def plain(self) -> str:
        return _plain(self.text)


def _alone(word: str, text: str) -> bool:
    """Whether a word stands in a text, not as a part of another word or number."""
    at = text.find(word)
    while at >= 0:
        before, after = text[max(0, at - 1) : at], text[at + len(word) : at + len(word) + 2]
        inside = before.isalnum() or after[:1].isalnum() or (word[-1].isdecimal() and _GOES_ON.match(after))
        if not inside and not (word[0].isdecimal() and before and before in ".,"):
            return True
        at = text.find(word, at + len(word))
    return False


def _plain(text: str) -> str:
    """Without quotation marks, with one kind of dash and single blanks."""
    return " ".join(text.translate(_MARKS).split())


def _numbers(summary: str, held: _Held) -> Iterator[tuple[int, int]]:
    for number in numerals.find(summary):
        words = summary[number.start : number.end].casefold()
        if number.telling and not _alone(words, held.folded) and not number.values & held.numbers:
            yield number.start, number.end


def _quotations(summary: str, held: _Held) -> Iterator[tuple[int, int]]:
    for match in _QUOTATION.finditer(summary):
        text = next(group for group in match.groups() if group is not None)
        parts = (_plain(part).strip(" .,;:!?-") for part in _LEFT_OUT.split(text))
        if len(text.split()) >= _LEAST_WORDS and not all(_stands(part, held.plain) for part in parts):
            yield match.span()


def _stands(words: str, text: str) -> bool:
    return words in text or words[:1].swapcase() + words[1:] in text


def _names(summary: str, held: _Held, common: Collection[str]) -> Iterator[tuple[int, int]]:
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(summary):
        word = match.group()
        names = word[0].isupper() and len(word) > 1 and _APOSTROPHE.split(word.casefold())[0] not in _SMALL_WORDS
        starts = names and _STARTS.search(summary, 0, match.start()) is not None
        if starts:
            names = not _is_plain(word, held, common)
        if run and (not names or starts or summary[run[-1].end() : match.start()].strip(" ")):
            yield from _unheld(run, held)
            run = []
        if names:
            run.append(match)
    if run:
        yield from _unheld(run, held)


def _is_plain(word: str, held: _Held, common: Collection[str]) -> bool:
    """Whether a word that opens a sentence has its capital from there."""
    small = word.lower()
    return small in common or _FORMED.search(word) is not None or _alone(small, held.text)


def _unheld(run: list[re.Match[str]], held: _Held) -> Iterator[tuple[int, int]]:
    """The whole name, where the article lacks a word of it."""
    words = [match.group() for match in run]
    short = "".join(word[0] for word in words)
    if not (all(_is_held(word, held) for word in words) or (len(short) > 1 and _alone(short, held.text))):
        yield run[0].start(), run[-1].end()


def _is_held(word: str, held: _Held) -> bool:
    """Whether a name stands in an article, whatever its case and ending, or its parts do, or what it is short for."""
    whole = _ENDING.sub("", word).casefold().replace("\u2019", "'")
    forms = (
        whole,
        whole.replace(".", ""),
        f"{whole}s",
        f"{whole}es",
        whole.removesuffix("s"),
        whole.removesuffix("es"),
    )
    if any(_alone(form, held.folded) for form in forms if form):
        return True
    # Of a compound the parts with a capital: "Oscar-winning" is about the Oscar.
    parts = [part.casefold() for part in re.split(r"[.&'\u2019-]", _ENDING.sub("", word)) if part[:1].isupper()]
    if any(mark in whole for mark in ".&'-") and all(_alone(part, held.folded) for part in parts):
        return True
    letters = word.replace(".", "")
    initials = r"\w*[\s-]+(?:(?:of|the|and|for)\s+)*".join(letters)
    return letters.isalpha() and letters.isupper() and re.search(rf"\b{initials}\w", held.text) is not None
