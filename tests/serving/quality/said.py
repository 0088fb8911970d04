"""A store of feedback that is made up, and what is said in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reading.reference import EDGES, Counts
from serving.feedback.keeping import Aggregate, Judgment, Population, TallyCount
from serving.quality.document import Serving

TODAY = 20_000
NOW_S = TODAY * 86_400 + 3600.0
CATEGORY = Serving(task="category", model="distilbert", version="1", revision="aaa", labels=True)
SUMMARY = Serving(task="summary", model="bart", version="1", revision="bbb", labels=False)


def rated(
    one: Serving = CATEGORY,
    *,
    count: int = 1,
    right: bool | None = None,
    stars: int | None = None,
    audit: bool = False,
    shown: bool = True,
    day: int = TODAY,
    batch: int = 0,
    revision: str = "",
) -> Aggregate:
    return Aggregate(
        task=one.task,
        model=one.model,
        revision=revision or one.revision,
        day=day,
        audit=audit,
        batch=batch,
        stars=stars,
        right=right,
        shown=shown if right is not None else None,
        count=count,
    )


def counted(what: str, counts: dict[str, int], one: Serving = CATEGORY) -> list[TallyCount]:
    names = {"task": one.task, "model": one.model, "revision": one.revision}
    return [TallyCount(**names, what=what, bucket=bucket, day=TODAY, count=n) for bucket, n in counts.items()]


def came(count: int, one: Serving = CATEGORY, *, day: int = TODAY, revision: str = "") -> Population:
    return Population(task=one.task, model=one.model, revision=revision or one.revision, day=day, predictions=count)


@dataclass
class Read:
    """A store that says what it is given, and was asked what."""

    ratings: Sequence[Aggregate] = ()
    judged: Sequence[Judgment] = ()
    counts: Sequence[TallyCount] = ()
    came: Sequence[Population] = ()
    asked: list[int] = field(default_factory=list)

    def aggregates(self, *, batch: int, since_day: int) -> Sequence[Aggregate]:
        self.asked.append(since_day)
        return [one for one in self.ratings if one.day >= since_day]

    def judgments(self, *, since_day: int, limit: int) -> Sequence[Judgment]:
        return self.judged[:limit]

    def tallies(self, *, since_day: int) -> Sequence[TallyCount]:
        return [one for one in self.counts if one.day >= since_day]

    def populations(self, *, since_day: int) -> Sequence[Population]:
        return [one for one in self.came if one.day >= since_day]


def write_reference(repository: Path, one: Serving = CATEGORY, *, text: str = "") -> Path:
    """A reference of twenty articles of thirty words, half of them of each of two labels; or another text."""
    counts = Counts()
    for index in range(20):
        label = ("Politics", "Sports")[index % 2] if one.labels else ""
        counts.add("the minister said that the other team won " * 4, "Title", label)
    path = repository / one.model / one.version / "reference.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or counts.to_json())
    assert text or json.loads(path.read_text())["words"]["edges"] == list(EDGES)
    return path
