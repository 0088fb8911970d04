"""What the store of feedback offers, and what comes of what is written to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from .records import Entry, Prediction, Submission


class Outcome(StrEnum):
    """What came of one entry."""

    KEPT = "kept"
    REPEATED = "repeated"
    """It was there already, by its id or its idempotency key: nothing was changed."""
    CONFLICT = "conflict"
    """Its idempotency key is that of another submission: nothing was changed."""
    UNKNOWN = "unknown"
    """There is no such prediction, or no more: a submission waits a day for it to come, an erasure changed nothing."""
    ANSWERED = "answered"
    """An audit that was answered already, by another submission: nothing was changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What came of one entry."""

    outcome: Outcome
    id: str = field(default="", repr=False)
    """That of the submission that counts: with `REPEATED` and `ANSWERED` the earlier one's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """Ratings of one model revision that are alike, and how many there are. It holds no text and nobody's name."""

    task: str
    model: str
    revision: str
    day: int
    """Days since 1970, of the rating."""
    audit: bool
    batch: int
    """Which batch of this task, revision and `audit` it is of, counted from 0, in the order of the ratings; -1 for an
    audit that the person passed, which is in none (`stars` and `right` are None then)."""
    stars: int | None
    """1 to 5; None for a label."""
    right: bool | None
    """Whether the label is right; None for a text, and for an audit that the person passed."""
    shown: bool | None
    """Whether a label was shown, or words of doubt in its place; None for a text."""
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgment:
    """What one rater thinks of one answer that another has rated too: for agreement between raters."""

    task: str
    model: str
    revision: str
    prediction: str = field(repr=False)
    rater: str = field(repr=False)
    value: str
    """Stars as a digit; else the label that the rater thinks right, or ``not X`` where it was called wrong only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TallyCount:
    """How often one bucket was counted."""

    task: str
    model: str
    revision: str
    what: str
    bucket: str
    day: int
    """The last day on which it was."""
    count: int
    """On all days that were asked about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """How many predictions there are of one model revision on one day."""

    task: str
    model: str
    revision: str
    day: int
    predictions: int


class FeedbackRead(Protocol):
    """What quality is computed from. All of it may take long; it raises `FeedbackError`."""

    def aggregates(self, *, batch: int, since_day: int) -> Sequence[Aggregate]:
        """The ratings that count (of one rater and answer the latest), from a day on, in batches of so many."""
        ...

    def judgments(self, *, since_day: int, limit: int) -> Sequence[Judgment]:
        """Those of answers that several raters have judged, the latest first."""
        ...

    def tallies(self, *, since_day: int) -> Sequence[TallyCount]:
        """What was counted towards drift from a day on, summed up over the days."""
        ...

    def populations(self, *, since_day: int) -> Sequence[Population]:
        """Predictions by day."""
        ...


class FeedbackStorage(FeedbackRead, Protocol):
    """The whole store. All of it may take long; it raises `FeedbackError`, and `FeedbackAwayError` while it is away."""

    @property
    def salt(self) -> str:
        """Random characters of this store, the same for all servers that share it."""
        ...

    def write(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep entries in their order, in one transaction; what was kept before is not kept twice."""
        ...

    def prediction(self, prediction_id: str) -> Prediction | None:
        """The prediction of an id, without its tallies."""
        ...

    def submissions(self, prediction_id: str) -> Sequence[Submission]:
        """What was said of a prediction, in its order; of very much the latest, and its audit."""
        ...

    def forget(self, days: int) -> int:
        """Forget the predictions that are older, and all that was said of them; returns how many."""
        ...

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each rating that counts, with its prediction, for exports."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...
