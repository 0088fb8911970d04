"""How good the models of a server are, by what people say of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from .values import text_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A measure, and between what it lies with a confidence of 95 %."""

    value: float
    low: float
    high: float
    count: int
    """From how many ratings, or answers, it is computed."""

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Estimate | None:
        """Read a measure; None where there is none.

        Raises:
            ValueError, TypeError, KeyError: It is something else.
        """
        if document is None or document.get("value") is None:
            return None
        counted = document["ratings"] if "ratings" in document else document["answers"]
        value, low, high = (float(document[name]) for name in ("value", "low", "high"))
        return cls(value=value, low=low, high=high, count=int(counted))


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingBatch:
    """So many ratings as make a batch, in the order in which they came."""

    number: int
    """Counted from 0."""
    first_day: date
    last_day: date
    estimate: Estimate
    audit: bool = False
    """Whether they were given before the answer was shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedDay:
    """One day of a model."""

    day: date
    predictions: int
    estimate: Estimate | None
    """None where nobody has rated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftBucket:
    """One kind of articles or answers: a label, a range of lengths, a word."""

    bucket: str
    expected: float
    """Its share where the model was trained."""
    seen: float
    """Its share now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """How far what a model sees is from what it was trained on."""

    psi: float | None
    """The population stability index: 0 where nothing has changed; from 0.25 on much has."""
    p: float | None
    """The probability of such a difference by chance."""
    state: str
    """``stable``, ``moving`` or ``moved``."""
    seen: int
    """Articles or words that were counted."""
    buckets: tuple[DriftBucket, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How far several people who rate the same answers agree."""

    answers: int
    raters: int
    same: float | None
    """The share of pairs of ratings that are the same."""
    alpha: float | None
    """Krippendorff's alpha: 1 for agreement, 0 for as much of it as chance gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelQuality:
    """How good one revision of a model is at a task."""

    task: str
    model: str
    revision: str
    serving: bool
    """Whether it is the revision that is served now."""
    predictions: int
    satisfaction: Estimate | None = None
    """The average of the stars, 1 to 5; None for labels, and where nobody has rated."""
    stars: tuple[int, ...] = ()
    """How often 1, 2, 3, 4 and 5 stars were given."""
    accuracy: Estimate | None = None
    """The share of right labels, by those who chose to rate; None for texts."""
    shown_accuracy: Estimate | None = None
    """The same for labels that were shown, since the model was sure enough."""
    coverage: Estimate | None = None
    """The share of answers whose label was shown."""
    audit: Estimate | None = None
    """The share of right labels, by people who did not see it before they said theirs."""
    audit_passed: int = 0
    """How often they did not know."""
    trusted: bool | None = None
    """Whether audits show that the model is good enough; None where they are too few, or there are none."""
    trusted_why: str = ""
    batches: tuple[RatingBatch, ...] = ()
    days: tuple[RatedDay, ...] = ()
    drift: Mapping[str, Drift] = field(default_factory=dict, hash=False)
    """By ``label``, ``words`` and ``vocabulary``; empty where the server cannot tell."""
    drift_why: str = ""
    """Why it cannot."""
    agreement: Agreement | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """How good the models of a server are, by what people said of their answers in the last days."""

    made: datetime
    days: int
    batch: int
    """How many ratings make a batch."""
    trust_bar: float
    """A model is trusted where the accuracy of its audits is surely above."""
    bias: str
    """What to keep in mind of ratings that people volunteer."""
    models: tuple[ModelQuality, ...]
    stale_s: float | None = None
    """How old this is, where the server cannot reach what it computes it from."""
    document: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False, compare=False)
    """All of it, as the server has said it."""

    def of_task(self, task: str) -> ModelQuality | None:
        """The revision that is served for a task now; None where the server knows none."""
        return next((one for one in self.models if one.task == task and one.serving), None)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Quality:
        """Read an answer of ``GET /v1/quality``.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: It is none.
        """
        stale_s = document.get("stale_s")
        return cls(
            made=datetime.fromisoformat(text_of(document, "made")),
            days=int(document["days"]),
            batch=int(document["batch"]),
            trust_bar=float(document["trust_bar"]),
            bias=text_of(document, "bias"),
            models=tuple(_model(one) for one in document["models"]),
            stale_s=None if stale_s is None else float(stale_s),
            document=MappingProxyType(dict(document)),
        )


def _model(document: Mapping[str, Any]) -> ModelQuality:
    satisfaction, audit, shown = (document.get(name) or {} for name in ("satisfaction", "audit", "shown"))
    agreement = document.get("agreement")
    trusted = document.get("trusted")
    return ModelQuality(
        task=text_of(document, "task"),
        model=text_of(document, "model"),
        revision=text_of(document, "revision"),
        serving=document["serving"] is True,
        predictions=int(document["predictions"]),
        satisfaction=Estimate.of(document.get("satisfaction")),
        stars=tuple(map(int, satisfaction.get("stars") or ())),
        accuracy=Estimate.of(document.get("accuracy")),
        shown_accuracy=Estimate.of(shown.get("accuracy")),
        coverage=Estimate.of(shown.get("coverage")),
        audit=Estimate.of(document.get("audit")),
        audit_passed=int(audit.get("passed") or 0),
        trusted=trusted if isinstance(trusted, bool) else None,
        trusted_why=str(document.get("trusted_why") or ""),
        batches=tuple(_batch(one) for one in document.get("batches") or ()),
        days=tuple(_day(one) for one in document.get("by_day") or ()),
        drift=MappingProxyType({what: _drift(one) for what, one in (document.get("drift") or {}).items() if one}),
        drift_why=str(document.get("drift_why") or ""),
        agreement=None if agreement is None else _agreement(agreement),
    )


def _batch(document: Mapping[str, Any]) -> RatingBatch:
    estimate = Estimate.of(document)
    if estimate is None:
        raise ValueError("a batch must have a value")
    first, last = (date.fromisoformat(text_of(document, name)) for name in ("first_day", "last_day"))
    return RatingBatch(
        number=int(document["batch"]),
        first_day=first,
        last_day=last,
        estimate=estimate,
        audit=document.get("audit") is True,
    )


def _day(document: Mapping[str, Any]) -> RatedDay:
    return RatedDay(
        day=date.fromisoformat(text_of(document, "day")),
        predictions=int(document["predictions"]),
        estimate=Estimate.of(document),
    )


def _drift(document: Mapping[str, Any]) -> Drift:
    return Drift(
        psi=_number(document.get("psi")),
        p=_number(document.get("p")),
        state=text_of(document, "state"),
        seen=int(document["seen"]),
        buckets=tuple(
            DriftBucket(bucket=str(one["bucket"]), expected=float(one["expected"]), seen=float(one["seen"]))
            for one in document.get("buckets") or ()
        ),
    )


def _agreement(document: Mapping[str, Any]) -> Agreement:
    return Agreement(
        answers=int(document["answers"]),
        raters=int(document["raters"]),
        same=_number(document.get("same")),
        alpha=_number(document.get("alpha")),
    )


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # what is no number raises
