"""The users of a soak: threads, each of which asks the next question when the last one was answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import numpy as np

from .asking import Connections, Known, Result, result_of
from .mixture import Question

_PAUSE_S: Final = 0.1
"""After a failure, so that a server that is away is not asked in a hurry."""
_REASONS: Final = 20
"""Different reasons of failures that a window keeps."""


@dataclass(kw_only=True)
class Counts:
    """What was asked in a time."""

    results: Counter[Result] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    """By the name of the question."""
    articles: int = 0
    """Those that were answered, and rightly."""
    latencies_ms: list[float] = field(default_factory=list)
    """How long the questions about articles took that were answered rightly."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why requests were not answered rightly, with the question."""

    def latency_ms(self, percentile: float) -> float:
        """A percentile of the latencies; 0 when there are none."""
        return float(np.percentile(self.latencies_ms, percentile)) if self.latencies_ms else 0.0


class Users:
    """Asks while the ``with`` block is open.

    Args:
        connect: The addresses and the time-out, as `Connections` takes them.
        questions: Asked in this order by each user, from another one on, over and over.
        pool: The articles, in turn; each user begins with another one.
        users: How many there are.
    """

    def __init__(
        self, connect: tuple[str, str, float], questions: Sequence[Question], pool: Sequence[Known], users: int
    ) -> None:
        self._connect = connect
        self._questions = questions
        self._pool = pool
        self._lock = threading.Lock()
        self._counts = Counts()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(number / users,), name=f"soak-user-{number}", daemon=True)
            for number in range(users)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self, seconds: float) -> None:
        """Wait while they ask; comes back sooner when one of them cannot go on."""
        self._stop.wait(max(0.0, seconds))

    def take(self) -> Counts:
        """What was asked since the last call.

        Raises:
            Exception: A user met an error that no server can bring about.
        """
        if self._error is not None:
            raise self._error
        with self._lock:
            counts, self._counts = self._counts, Counts()
        return counts

    def _work(self, share: float) -> None:
        position, place = int(share * len(self._questions)), int(share * len(self._pool))
        try:
            with Connections(*self._connect) as door:
                while not self._stop.is_set():
                    question = self._questions[position % len(self._questions)]
                    known = [self._pool[(place + step) % len(self._pool)] for step in range(question.articles)]
                    position, place = position + 1, place + question.articles
                    self._ask(door, question, known)
        except Exception as error:
            self._error = error
            self._stop.set()

    def _ask(self, door: Connections, question: Question, known: Sequence[Known]) -> None:
        result, reason = Result.RIGHT, ""
        start_s = time.perf_counter()
        try:
            question.ask(door, known)
        except Exception as error:
            result, reason = result_of(error), f"{question.name}: {' '.join(str(error).split())}"[:500]
        latency_ms = 1e3 * (time.perf_counter() - start_s)
        with self._lock:
            counts = self._counts
            counts.results[result] += 1
            counts.asked[question.name] += 1
            if result is not Result.RIGHT:
                if reason in counts.reasons or len(counts.reasons) < _REASONS:
                    counts.reasons[reason] += 1
            elif known:
                counts.articles += len(known)
                counts.latencies_ms.append(latency_ms)
        if result is not Result.RIGHT:
            self._stop.wait(_PAUSE_S)
