"""Documents of ``GET /v1/quality`` for the page of the quality: nothing, too little, a good deal, and trouble."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

MADE = "2026-11-27T12:00:00+00:00"
LABELS = (
    "Business",
    "Entertainment",
    "Health",
    "Politics",
    "Science",
    "Sport",
    "Technology",
    "Travel",
    "Weather",
    "World",
)
EDGES = (0, 25, 50, 100, 200, 400, 800, 1600)
BIAS = (
    "Ratings are volunteered: people rate what strikes them, so these figures may differ from those of all answers; "
    "blind audits are drawn by chance."
)


def figure(value: float, ratings: int, scale: float = 1.0, **more: Any) -> dict[str, Any]:
    """A value of a scale from 0 (or from 1, for stars) to `scale`, with an interval that is about right."""
    least = 1.0 if scale > 1 else 0.0
    reach = 1.96 * scale * 0.45 / math.sqrt(max(ratings, 1)) / (2 if scale > 1 else 1)
    low, high = max(least, value - reach), min(scale, value + reach)
    return {"value": value, "low": low, "high": high, "ratings": ratings, **more}


def model(task: str, revision: str, *, days: int = 30, **more: Any) -> dict[str, Any]:
    """A model that was never rated, but for what is given."""
    empty = {
        "predictions": 0, "satisfaction": None, "accuracy": None, "shown": {"accuracy": None, "coverage": None},
        "audit": None, "trusted": None, "trusted_why": "", "batches": [], "by_day": [], "drift": None,
        "drift_why": "The model has no reference: `python -m export reference` makes one.", "agreement": None,
    }  # fmt: skip
    return {"task": task, "model": f"{task}-small", "revision": revision, "serving": True, **empty, **more}


def document(models: Sequence[dict[str, Any]] = (), days: int = 30, **more: Any) -> dict[str, Any]:
    """The whole."""
    return {"made": MADE, "days": days, "batch": 100, "trust_bar": 0.75, "bias": BIAS, "models": list(models), **more}


def by_day(days: int, middle: float, scale: float = 1.0, seed: int = 1, most: int = 90) -> list[dict[str, Any]]:
    """Days with answers, most of them with ratings."""
    chance, found = random.Random(seed), []
    for back in range(days - 1, -1, -1):
        day = (date.fromisoformat(MADE[:10]) - timedelta(days=back)).isoformat()
        ratings = chance.choice((0, 3, 7, 9, 12, 18))
        value = min(scale, max(0.0, chance.gauss(middle, 0.05 * scale)))
        rated = figure(value, ratings, scale) if ratings else {"value": None, "low": None, "high": None, "ratings": 0}
        found.append({"day": day, "predictions": chance.randrange(most // 3, most), **rated})
    return found


def batches(
    count: int, middle: float, scale: float = 1.0, *, audit: bool = False, fall: float = 0.0
) -> list[dict[str, Any]]:
    """Batches, the newest of which is not full."""
    chance, found = random.Random(count), []
    for number in range(count):
        last = date.fromisoformat(MADE[:10]) - timedelta(days=2 * (count - 1 - number))
        value = chance.gauss(middle, 0.025 * scale) - fall * number / count
        ratings = 41 if number == count - 1 else 100
        first = (last - timedelta(days=2)).isoformat()
        found.append(
            {
                "batch": number,
                "first_day": first,
                "last_day": last.isoformat(),
                "audit": audit,
                **figure(value, ratings, scale),
            }
        )
    return found


def drifted(state: str, psi: float, p: float | None, expected: dict[str, float], pull: float) -> dict[str, Any]:
    """A measure of drift: towards the last bucket as far as `pull` says."""
    names = list(expected)
    seen = {name: expected[name] * (1 - pull) + (pull if name == names[-1] else 0.0) for name in names}
    buckets = [{"bucket": name, "expected": expected[name], "seen": seen[name]} for name in names]
    return {"psi": psi, "p": p, "state": state, "seen": 1893, "buckets": buckets}


def drift(state: str = "stable", pull: float = 0.02) -> dict[str, Any]:
    """All three measures in one state."""
    psi, p = {"stable": (0.03, 0.21), "moving": (0.14, 0.004), "moved": (0.41, 0.0)}[state]
    words = (
        "the",
        "of",
        "to",
        "and",
        "said",
        "minister",
        "price",
        "game",
        "film",
        "virus",
        "storm",
        "orbit",
        "court",
        "goal",
    )
    return {
        "label": drifted(state, psi, p, dict.fromkeys(LABELS, 0.1), pull),
        "words": drifted(
            "stable",
            0.03,
            0.4,
            dict(zip(map(str, EDGES), (0.02, 0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.03), strict=True)),
            0.01,
        ),
        "vocabulary": drifted(
            state, psi, p, {**{word: 0.3 / (rank + 2) for rank, word in enumerate(words)}, "other": 0.4}, pull
        ),
    }


def tiny() -> dict[str, Any]:
    """A server that was started yesterday: seven ratings, one, and none."""
    stars = figure(4.6, 7, 5.0, stars=[0, 0, 1, 1, 5])
    return document(
        [
            model("summary", "1f3a9c2e", predictions=31, satisfaction=stars, by_day=by_day(2, 4.6, 5.0)),
            model("category", "77b0aa10", predictions=31, accuracy=figure(1.0, 1) | {"low": 0.21}),
            model("veracity", "c04d11fe", predictions=31),
        ]
    )


def rich(days: int = 30, *, trouble: bool = False) -> dict[str, Any]:
    """Months of ratings and two revisions; with trouble: articles that moved, and a model that is not trusted."""
    state, pull = ("moved", 0.3) if trouble else ("stable", 0.02)
    stars = figure(3.87, 212, 5.0, stars=[12, 16, 37, 70, 77])
    before = figure(3.42, 480, 5.0, stars=[50, 80, 100, 120, 130])
    sure = {"accuracy": figure(0.91, 322), "coverage": {**figure(0.82, 1893), "answers": 1893}}
    text_drift = {name: one for name, one in drift().items() if name != "label"}
    summary = model(
        "summary",
        "1f3a9c2e",
        predictions=1893,
        satisfaction=stars,
        batches=batches(12, 3.8, 5.0),
        by_day=by_day(days, 3.8, 5.0),
        drift=text_drift,
        agreement={"answers": 34, "raters": 5, "same": 0.81, "alpha": 0.71},
    )
    old = batches(6, 3.4, 5.0)
    former = model("summary", "09be7712", predictions=5120, satisfaction=before, batches=old, serving=False)
    category = model(
        "category",
        "77b0aa10",
        predictions=1893,
        accuracy=figure(0.873, 402),
        shown=sure,
        batches=[*batches(8, 0.87), *batches(3, 0.85, audit=True)],
        by_day=by_day(days, 0.87, seed=2),
        audit=figure(0.846, 221, passed=9),
        trusted=True,
        trusted_why="in blind audits it is right 79% to 91% of the time, from 221 of them: at least the 75% asked",
        drift=drift(state, pull),
        agreement={"answers": 12, "raters": 4, "same": 0.92, "alpha": 0.86},
    )
    veracity = model(
        "veracity",
        "c04d11fe",
        predictions=1893,
        accuracy=figure(0.71 if trouble else 0.83, 170),
        shown={"accuracy": figure(0.88, 61), "coverage": {**figure(0.41, 1893), "answers": 1893}},
        batches=batches(5, 0.83, fall=0.25 if trouble else 0.0),
        by_day=by_day(days, 0.8, seed=3),
        audit=figure(0.62 if trouble else 0.79, 96, passed=31),
        trusted=False if trouble else None,
        trusted_why="in blind audits it is right 52% to 71% of the time, from 96 of them: less than the 75% asked",
        agreement={"answers": 9, "raters": 3, "same": 0.55, "alpha": 0.1},
    )
    return document([summary, former, category, veracity], days)
