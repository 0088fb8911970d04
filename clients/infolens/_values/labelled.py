"""What a classifier answers, and how much of the article a model read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from .evidence import Evidence
from .spans import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How much of the article a model read."""

    tokens: int
    """Tokens of the whole article for this model, special tokens included."""
    truncated_tokens: int = 0
    """How many of them the model did not read: those at the end, or, of a classifier that reads windows spread over the
    article, those between them."""
    unread: tuple[Span, ...] | None = None
    """Which pieces of `Article.text` the model did not read, in their order, without the blanks around them; what it
    did not read of the title is not among them. None from a server of an earlier version, which does not say."""

    @property
    def truncated(self) -> bool:
        """Whether the model did not read the whole article."""
        return self.truncated_tokens > 0

    def to_dict(self) -> dict[str, Any]:
        """``{"tokens": 812, "truncated_tokens": 300, "unread": [{"start": 2410, "end": 3880}]}``.

        ``unread`` is left out where the server did not say.
        """
        unread = {} if self.unread is None else {"unread": [one.to_dict() for one in self.unread]}
        return {"tokens": self.tokens, "truncated_tokens": self.truncated_tokens, **unread}


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """The answer of a classifier: one of the labels that its model was trained to tell."""

    label: str
    """The most probable label."""
    probability: float
    """Its probability, 0 to 1."""
    probabilities: Mapping[str, float]
    """The probability of every label, in the order of the model; they add up to 1."""
    reading: Reading
    signal: str = ""
    """The label where the model is sure enough of it, else the task's word of doubt (``no clear signal`` for the
    veracity, ``unsure`` for others); empty from a server that says nothing of doubt."""
    doubt: str = ""
    """Why there is doubt, in words; empty where there is none. The label and its probabilities stay as they are."""
    evidence: tuple[Evidence, ...] = ()
    """The sentences that moved the answer most, at most three, the strongest first; empty unless they were asked for,
    and where no sentence by itself did."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "probabilities", MappingProxyType(dict(self.probabilities)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled; sending a report to another process must work all the same.
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _rebuild, (type(self), {**values, "probabilities": dict(self.probabilities)})

    def to_dict(self) -> dict[str, Any]:
        """``{"label": "Sports", "signal": "Sports", "doubt": "", "probability": 0.93, "probabilities": {...}}``.

        Where there is evidence, it is one more key.
        """
        evidence = {"evidence": [one.to_dict() for one in self.evidence]} if self.evidence else {}
        return {
            "label": self.label,
            "signal": self.signal,
            "doubt": self.doubt,
            "probability": self.probability,
            "probabilities": dict(self.probabilities),
            **evidence,
        }


def _rebuild(cls: type[Labelled], values: dict[str, Any]) -> Labelled:
    return cls(**values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Category(Labelled):
    """Which category the article belongs to: with the starter one of `infolens.contract.CATEGORIES`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Veracity(Labelled):
    """Whether the article reads like real or fake news: a judgement of its wording, not a fact check."""
