"""The figures of one model revision, out of the counts that the store has of it."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from serving.feedback.keeping import Aggregate, Population, TallyCount

from .intervals import STARS, Interval, mean_stars, share
from .tallying import DOUBT_BUCKET, SHOWN, SHOWN_BUCKET

MAX_BATCHES: Final = 60
"""So many batches are told, the newest; of audits as many again."""
_EPOCH: Final = datetime.date(1970, 1, 1)

Counts = Mapping[str, Mapping[str, int]]
"""How often each bucket was counted, by what was counted."""


@dataclass(slots=True)
class Ratings:
    """Ratings that are counted together: stars of a text, or whether a label is right."""

    stars: list[int] = field(default_factory=lambda: [0] * STARS)
    right: int = 0
    wrong: int = 0
    first_day: int | None = None
    last_day: int | None = None

    def add(self, one: Aggregate) -> None:
        """Count ratings that are alike."""
        if one.stars is not None:
            self.stars[one.stars - 1] += one.count
        elif one.right is not None:
            self.right += one.count if one.right else 0
            self.wrong += 0 if one.right else one.count
        self.first_day = one.day if self.first_day is None else min(self.first_day, one.day)
        self.last_day = one.day if self.last_day is None else max(self.last_day, one.day)

    @property
    def satisfaction(self) -> Interval | None:
        """The mean of the stars; None without one."""
        return mean_stars(tuple(self.stars))

    @property
    def accuracy(self) -> Interval | None:
        """The share that is right; None of none."""
        return share(self.right, self.right + self.wrong)

    @property
    def interval(self) -> Interval | None:
        """The figure of whichever there are."""
        return self.satisfaction or self.accuracy


@dataclass(slots=True)
class Figures:
    """One model revision: ratings that people volunteered apart from those of blind audits."""

    volunteered: Ratings = field(default_factory=Ratings)
    shown: Ratings = field(default_factory=Ratings)
    """Volunteered, of labels that were shown and not held back by doubt."""
    audited: Ratings = field(default_factory=Ratings)
    passed: int = 0
    """Audits in which the person said nothing."""
    batches: defaultdict[tuple[bool, int], Ratings] = field(default_factory=lambda: defaultdict(Ratings))
    rated_days: defaultdict[int, Ratings] = field(default_factory=lambda: defaultdict(Ratings))
    predicted_days: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    counts: defaultdict[str, defaultdict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )

    def add_ratings(self, one: Aggregate) -> None:
        """Count ratings that are alike."""
        if one.stars is None and one.right is None:
            self.passed += one.count if one.audit else 0
            return
        self.batches[one.audit, one.batch].add(one)
        if one.audit:
            self.audited.add(one)
            return
        self.volunteered.add(one)
        self.rated_days[one.day].add(one)
        if one.shown:
            self.shown.add(one)

    def add_population(self, one: Population) -> None:
        """Count predictions."""
        self.predicted_days[one.day] += one.predictions

    def add_tally(self, one: TallyCount) -> None:
        """Count towards drift and coverage."""
        self.counts[one.what][one.bucket] += one.count

    @property
    def predictions(self) -> int:
        """How many there are."""
        return sum(self.predicted_days.values())

    @property
    def last_day(self) -> int:
        """The last day with a prediction or a rating; 0 without one."""
        return max([*self.predicted_days, *self.rated_days, self.audited.last_day or 0, 0])

    @property
    def coverage(self) -> Interval | None:
        """The share of answers whose label was shown."""
        counted = self.counts[SHOWN]
        return share(counted[SHOWN_BUCKET], counted[SHOWN_BUCKET] + counted[DOUBT_BUCKET])

    def document(self) -> dict[str, Any]:
        """What the document of quality says of its ratings."""
        satisfaction, accuracy = self.volunteered.satisfaction, self.volunteered.accuracy
        audit = self.audited.accuracy
        return {
            "predictions": self.predictions,
            "satisfaction": satisfaction and {**satisfaction.document(), "stars": self.volunteered.stars},
            "accuracy": accuracy and accuracy.document(),
            "shown": {
                "accuracy": self.shown.accuracy and self.shown.accuracy.document(),
                "coverage": self.coverage and self.coverage.document("answers"),
            },
            "audit": audit and {**audit.document(), "passed": self.passed},
            "batches": [*self._batches(audit=False), *self._batches(audit=True)],
            "by_day": list(self._days()),
        }

    def _batches(self, *, audit: bool) -> list[dict[str, Any]]:
        numbers = sorted(number for of_audit, number in self.batches if of_audit is audit)[-MAX_BATCHES:]
        return [
            {
                "batch": number,
                "first_day": day_name(found.first_day or 0),
                "last_day": day_name(found.last_day or 0),
                **_figure(found.interval),
                "audit": audit,
            }
            for number in numbers
            if (found := self.batches[audit, number])
        ]

    def _days(self) -> Iterable[dict[str, Any]]:
        for day in sorted({*self.predicted_days, *self.rated_days}):
            found = self.rated_days[day].interval if day in self.rated_days else None
            yield {"day": day_name(day), "predictions": self.predicted_days.get(day, 0), **_figure(found)}


def day_name(day: int) -> str:
    """A day since 1970 as ISO 8601 has it."""
    return (_EPOCH + datetime.timedelta(days=day)).isoformat()


def _figure(found: Interval | None) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "ratings": 0} if found is None else found.document()
