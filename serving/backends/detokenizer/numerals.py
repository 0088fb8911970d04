"""Numbers in English text, in digits and in words, as values that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

_NAMES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
_SMALL = _NAMES.split()
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
_WORDS = {**{word: value for value, word in enumerate(_SMALL)}, **_TENS}
_BIG = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_LETTERS = {"k": 3, "m": 6, "mn": 6, "b": 9, "bn": 9, "tn": 12}
"""Words and letters after a number, as powers of ten."""
_POWERS = {**_BIG, **_LETTERS}
_AMBIGUOUS = frozenset({"k", "m", "b"})
"""Units too, such as metres, unless a currency stands before."""

_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)*"
_SCALE = rf"(?:[ -]?(?:{'|'.join(_BIG)})|[ ]?(?:{'|'.join(_LETTERS)}))\b"
_RUN = re.compile(r"[^\W_]+")
_IN_DIGITS = re.compile(
    rf"(?P<digits>{_DIGITS})(?P<scale>{_SCALE})?(?:[ ]?(?:%|per[ ]cent\b|percent\b))?", re.IGNORECASE
)
_IN_WORDS = re.compile(
    rf"""(?:(?P<tens>{"|".join(_TENS)})[ -](?P<unit>{"|".join(_SMALL[1:10])})
        |(?P<word>{"|".join([*_WORDS, *_ORDINALS, "dozen", rf"a(?=[ ](?:{'|'.join(_BIG)}))"])}))\b
        (?:[ ](?P<scale>{"|".join(_BIG)})\b)?""",
    re.VERBOSE | re.IGNORECASE,
)
_BEGIN = frozenset({*_WORDS, *_ORDINALS, "dozen", "a"})
_RANGE = re.compile(rf"({_DIGITS})[ ]?(?:to|and|or|-|\u2013)[ ]?[$\u00a3\u20ac]?(?:{_DIGITS})({_SCALE})", re.IGNORECASE)
_CURRENCY = re.compile(r"(?:US|A|C|HK)?[$\u00a3\u20ac\u00a5]$")
_SAY_LITTLE = frozenset({"zero", "one", "a", "dozen", *_ORDINALS})
"""Words that are seldom meant as a number: the article may well put it in another way."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a text."""

    start: int
    end: int
    values: frozenset[str]
    """What it may mean: "3m" is 3 of something, or 3 million."""
    telling: bool
    """Whether it states a number for certain."""


def find(text: str) -> Iterator[Number]:
    """The numbers of a text, in order; signs of currency and percent belong to them."""
    after = 0
    for run in _RUN.finditer(text):
        word = run.group()
        if run.start() < after or not (word[0].isdecimal() or word.lower() in _BEGIN):
            continue
        match = (_IN_DIGITS if word[0].isdecimal() else _IN_WORDS).match(text, run.start())
        if match is not None:
            after = match.end()
            yield _number(text, match)


def _number(text: str, match: re.Match[str]) -> Number:
    parts = match.groupdict()
    scale = _bare(parts["scale"] or "")
    currency = _CURRENCY.search(text[max(0, match.start() - 3) : match.start()])
    powers = [_POWERS[scale]] if scale else [0]
    if scale in _AMBIGUOUS and not currency:
        powers.append(0)
    return Number(
        start=match.start() - (len(currency.group()) if currency else 0),
        end=match.end(),
        values=frozenset(_text(_value(parts), power) for power in powers),
        telling=(parts.get("word") or "").lower() not in _SAY_LITTLE or bool(scale),
    )


def values(text: str) -> frozenset[str]:
    """What the numbers of a text mean, the first of "3 to 5 million" as 3 and as 3 million."""
    found = {value for number in find(text) for value in number.values}
    for digits, scale in _RANGE.findall(text):
        found.add(_text(digits.replace(",", ""), _POWERS[_bare(scale)]))
    return frozenset(found)


def _bare(scale: str) -> str:
    return scale.strip(" -").lower()


def _value(parts: Mapping[str, str | None]) -> str:
    """The digits of a number as `_IN_DIGITS` or `_IN_WORDS` found its parts."""
    given = {name: (text or "").lower() for name, text in parts.items()}
    if given.get("digits"):
        return given["digits"].replace(",", "")
    if given["tens"]:
        return str(_TENS[given["tens"]] + _SMALL.index(given["unit"]))
    return str({**_WORDS, **_ORDINALS, "dozen": 12, "a": 1}[given["word"]])


def _text(digits: str, power: int) -> str:
    """A number in plain digits, without zeros that say nothing; a version such as 3.5.1 stays as it is."""
    if digits.count(".") > 1:
        return digits
    return f"{(Decimal(digits) * 10**power).normalize():f}"
