"""Predictions and what is said of them, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL

from serving.feedback.keeping import Aggregate
from serving.feedback.records import Answered, Entry, Prediction, Rating, Submission, Tally
from serving.feedback.store import FeedbackStore

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000
START_S = 1_800_000_000
START_DAY = START_S // DAY_S
CATEGORY = Answered(
    task="category",
    model="classify",
    version="1",
    revision="c1",
    label="Sports",
    signal="Sports",
    probability=0.9,
    output={"label": "Sports", "signal": "Sports"},
)
VERACITY = Answered(
    task="veracity",
    model="verify",
    version="1",
    revision="v1",
    label="Real",
    signal="no clear signal",
    probability=0.5,
    output={"label": "Real", "signal": "no clear signal"},
)
SUMMARY = Answered(task="summary", model="bart", version="2", revision="s1", output={"text": "Die Brücke schließt."})


class Clock:
    """A time of day that a test moves."""

    def __init__(self) -> None:
        self.now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


def store_in(file: Path, clock: Clock) -> FeedbackStore:
    return FeedbackStore(URL.create("sqlite", database=str(file)), now=clock)


def predicted(name: str, **fields: Any) -> Prediction:
    given: dict[str, Any] = {
        "made_us": START_S * 1_000_000,
        "key": "newsroom",
        "route": "analyze",
        "text_sha256": "ab" * 32,
        "words": 120,
        "timings": {"total_ms": 12.5},
        "answers": (CATEGORY, VERACITY, SUMMARY),
        "tallies": (
            Tally(task="category", model="classify", revision="c1", what="label", bucket="Sports"),
            Tally(task="category", model="classify", revision="c1", what="vocabulary", bucket="the", count=7),
        ),
    }
    return Prediction(**{"id": name, **given, **fields})


def said(name: str, prediction: str, *ratings: Rating, **fields: Any) -> Submission:
    given: dict[str, Any] = {
        "made_us": START_S * 1_000_000,
        "token": f"token-{name}",
        "digest": f"digest-{name}",
        "key": "newsroom",
        "rater": "desk-7",
    }
    return Submission(**{"id": name, "prediction": prediction, "ratings": ratings, **given, **fields})


def stars(number: int, better: str | None = None) -> Rating:
    return Rating(task="summary", stars=number, better=better)


def right(*, is_right: bool, task: str = "category") -> Rating:
    return Rating(task=task, right=is_right)


def labelled(label: str, task: str = "category") -> Rating:
    return Rating(task=task, label=label)


def kept_in(file: Path) -> bytes:
    """All bytes of a file of SQLite, and of what lies beside it."""
    return b"\n".join(one.read_bytes() for one in sorted(file.parent.glob(f"{file.name}*")))


def outcomes(store: FeedbackStore, *entries: Entry) -> list[str]:
    return [one.outcome.value for one in store.write(entries)]


def counted(store: FeedbackStore, *, batch: int = 100, since_day: int = 0) -> list[Aggregate]:
    found = store.aggregates(batch=batch, since_day=since_day)
    return sorted(found, key=lambda one: (one.task, one.audit, one.batch, one.stars or 0, str(one.right)))
