"""Places in texts: what was not read, sentences that a summary quotes, and facts that the article does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A piece of an article's text: ``article.text[start:end]``."""

    start: int
    """Where it begins in the text of the article, in characters (code points)."""
    end: int
    """The character after its last one."""

    def of(self, text: str) -> str:
        """The piece, from the article's text."""
        return text[self.start : self.end]

    def to_dict(self) -> dict[str, int]:
        """``{"start": 120, "end": 240}``."""
        return {"start": self.start, "end": self.end}

    @classmethod
    def read(cls, values: object) -> tuple[Span, ...]:
        """The spans of a JSON list, of objects as `to_dict` makes them or of ``[start, end]``.

        Raises:
            ValueError: It holds another thing, or spans that overlap or do not ascend.
        """
        if isinstance(values, list):
            values = [
                {"start": one[0], "end": one[1]} if isinstance(one, list) and len(one) == 2 else one for one in values
            ]
        found = tuple(cls(**_range(one)) for one in _objects(values))
        if any(after.start < one.end for one, after in pairwise(found)):
            raise ValueError(f"spans ascend and do not overlap, unlike {values!r:.80}")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A sentence of the article that a summary quotes: ``article.text[start:end]``."""

    index: int
    """Which sentence of the article it is, counted from 0."""
    start: int
    """Where it begins in the text of the article, in characters (code points)."""
    end: int
    """The character after its last one."""
    truncated: bool = False
    """Whether the greatest length of the summary cut it off: the sentence goes on after ``end``."""

    def to_dict(self) -> dict[str, Any]:
        """``{"index": 3, "start": 120, "end": 240}``, and ``"truncated": true`` where it was cut."""
        cut = {"truncated": True} if self.truncated else {}
        return {"index": self.index, "start": self.start, "end": self.end, **cut}

    @classmethod
    def read(cls, values: object) -> tuple[Quote, ...]:
        """The quotes of a JSON list; the inverse of `to_dict`.

        Raises:
            ValueError: It holds another thing.
        """
        return tuple(
            cls(index=_whole(one, "index"), **_range(one), truncated=one.get("truncated") is True)
            for one in _objects(values)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsupported:
    """Words of a summary that the article does not hold: ``summary.text[start:end]``."""

    start: int
    """Where they begin in the summary, in characters (code points)."""
    end: int
    """The character after their last one."""
    text: str
    """The words."""
    kind: str
    """``number``, ``name`` or ``quotation``."""

    def to_dict(self) -> dict[str, Any]:
        """``{"start": 10, "end": 15, "text": "1,200", "kind": "number"}``."""
        return {"start": self.start, "end": self.end, "text": self.text, "kind": self.kind}

    @classmethod
    def read(cls, values: object) -> tuple[Unsupported, ...]:
        """The spans of a JSON list; the inverse of `to_dict`.

        Raises:
            ValueError: It holds another thing.
        """
        return tuple(cls(**_range(one), text=_word(one, "text"), kind=_word(one, "kind")) for one in _objects(values))


def _objects(values: object) -> Iterable[Mapping[str, Any]]:
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise ValueError(f"spans are a list of objects, not {values!r:.80}")
    return values


def _whole(one: Mapping[str, Any], name: str) -> int:
    value = one.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is a whole number from 0, not {value!r:.80}")
    return value


def _range(one: Mapping[str, Any]) -> dict[str, int]:
    start, end = _whole(one, "start"), _whole(one, "end")
    if end < start:
        raise ValueError(f"a span ends where it starts or later, but this one at {end} and {start}")
    return {"start": start, "end": end}


def _word(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text, not {value!r:.80}")
    return value
