"""A store of feedback in memory that fails, or hangs, as a test wants it, and entries to keep."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from serving.errors import FeedbackAwayError, FeedbackError
from serving.feedback.keeper import Keeper
from serving.feedback.keeping import Outcome, Written
from serving.feedback.options import FeedbackOptions
from serving.feedback.records import Answered, Entry, Erasure, Prediction, Rating, Submission, make_id
from serving.feedback.spool.spool import Spool
from serving.feedback.writing.pipeline import Patience
from serving.gateway.logs import open_log

PATIENCE_S = 60.0
QUICK = Patience(caller_s=PATIENCE_S, commit_s=PATIENCE_S, linger_s=0.0, retry_s=(0.001, 0.01), end_s=PATIENCE_S)
"""For a test in which nothing hangs: whoever waits does so for something that comes."""
SPOOL_BYTES = 2**20
AWAY = FeedbackAwayError("the ratings in postgresql://db cannot be had now")


def prediction(**more: Any) -> Prediction:
    answer = Answered(task="category", model="roberta", version="1", revision="abc", label="Sport", signal="Sport")
    given = {"id": make_id(), "made_us": 1_800_000_000_000_000, "text_sha256": "ab" * 32, "words": 7}
    return Prediction(**{**given, "answers": (answer,), **more})


def submission(of: str, **more: Any) -> Submission:
    given = {"id": make_id(), "made_us": 1_800_000_000_000_000, "prediction": of, "token": make_id(), "digest": "d"}
    return Submission(**{**given, "ratings": (Rating(task="category", right=True),), **more})


class Memory:
    """A `FeedbackStorage` of which a test says how it is."""

    salt = "grains"

    def __init__(self) -> None:
        self.predictions: dict[str, Prediction] = {}
        self.said: dict[str, Submission] = {}
        self.tallied: Counter[str] = Counter()
        self.batches: list[int] = []
        self.forgotten: list[int] = []
        self.failure: Exception | None = None
        self.poison: set[str] = set()
        """Predictions that it takes in no way."""
        self.begun, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.go_on.set()

    def write(self, entries: Sequence[Entry]) -> Sequence[Written]:
        self._pass()
        if any(isinstance(one, Prediction) and one.id in self.poison for one in entries):
            raise FeedbackError("the statement cannot be carried out")
        self.batches.append(len(entries))
        return [self._keep(one) for one in entries]

    def prediction(self, prediction_id: str) -> Prediction | None:
        self._pass()
        return self.predictions.get(prediction_id)

    def submissions(self, prediction_id: str) -> Sequence[Submission]:
        self._pass()
        return [one for one in self.said.values() if one.prediction == prediction_id]

    def forget(self, days: int) -> int:
        self._pass()
        self.forgotten.append(days)
        return 0

    def aggregates(self, **_: Any) -> Any:
        raise NotImplementedError

    judgments = tallies = populations = aggregates

    def rows(self) -> Iterator[dict[str, Any]]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed.set()

    def _pass(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure

    def _keep(self, entry: Entry) -> Written:
        if isinstance(entry, Erasure):
            self.said = {token: one for token, one in self.said.items() if one.prediction != entry.prediction}
            gone = self.predictions.pop(entry.prediction, None)
            return Written(outcome=Outcome.UNKNOWN if gone is None else Outcome.KEPT)
        if isinstance(entry, Prediction):
            if entry.id in self.predictions:
                return Written(outcome=Outcome.REPEATED, id=entry.id)
            self.predictions[entry.id] = entry
            self.tallied.update(one.bucket for one in entry.tallies)
            return Written(outcome=Outcome.KEPT, id=entry.id)
        if (before := self.said.get(entry.token)) is not None:
            return Written(outcome=Outcome.REPEATED, id=before.id)
        self.said[entry.token] = entry
        return Written(outcome=Outcome.KEPT, id=entry.id)


@asynccontextmanager
async def keeping(
    store: Memory,
    folder: Path | None = None,
    log: BytesIO | None = None,
    *,
    spool_bytes: int = SPOOL_BYTES,
    patience: Patience = QUICK,
    texts: bool = False,
    **more: Any,
) -> AsyncIterator[Keeper]:
    lines = open_log(log or BytesIO())
    opens: Callable[[], Spool] | None = None if folder is None else lambda: Spool(folder, spool_bytes, lines)
    options = FeedbackOptions(keeps=True, texts=texts, days=9)
    keeper = Keeper(lambda: store, lines, options, opens_spool=opens, patience=patience, **more)
    async with keeper.running():
        yield keeper


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def segments(folder: Path) -> list[int]:
    """The sizes of the files of a spool."""
    return [one.stat().st_size for one in folder.rglob("*.jsonl")]
