"""Load in one process: so many articles always in flight, or articles that come at random moments."""

from __future__ import annotations

import queue
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.common.server import BenchmarkError
from engine.article import Article, Integers

if TYPE_CHECKING:
    from .sides import Side

_HANGING_S: Final = 120.0
"""A side that answers nothing for so long has lost an article."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one side did with a list of articles."""

    seconds: float
    latencies_ms: tuple[float, ...]
    """By article: from its submission to its answer."""
    answers: tuple[Integers, ...]
    """By article."""

    @property
    def per_s(self) -> float:
        """Articles a second."""
        return len(self.answers) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """A percentile of the latencies."""
        return float(np.percentile(self.latencies_ms, percent))

    @property
    def tokens(self) -> int:
        """Tokens of all summaries."""
        return sum(map(len, self.answers))


class _Load:
    """Articles on their way, and what came of them."""

    def __init__(self, side: Side, articles: Sequence[Article], clock: Callable[[], float]) -> None:
        self._side, self._articles, self._clock = side, articles, clock
        self._came: queue.SimpleQueue[tuple[int, float, Integers | Exception]] = queue.SimpleQueue()
        self._due_s = [0.0] * len(articles)
        self._latencies_ms = [0.0] * len(articles)
        self._answers: dict[int, Integers] = {}
        self.last_s = clock()

    @property
    def answered(self) -> int:
        return len(self._answers)

    def submit(self, number: int, due_s: float | None = None) -> None:
        """Send an article, whose latency counts from ``due_s``, or from now."""
        self._due_s[number] = self._clock() if due_s is None else due_s
        self._side.submit(self._articles[number], lambda found: self._came.put((number, self._clock(), found)))

    def take(self) -> None:
        """Wait for an answer.

        Raises:
            BenchmarkError: It is an error, or none comes.
        """
        try:
            number, self.last_s, found = self._came.get(timeout=_HANGING_S)
        except queue.Empty as error:
            left = len(self._articles) - self.answered
            raise BenchmarkError(f"{left} articles were not answered within {_HANGING_S:.0f} s") from error
        if isinstance(found, Exception):
            raise BenchmarkError(f"an article was answered with an error: {found}") from found
        self._answers[number], self._latencies_ms[number] = found, 1e3 * (self.last_s - self._due_s[number])

    def turn(self, start_s: float) -> Turn:
        return Turn(
            seconds=self.last_s - start_s,
            latencies_ms=tuple(self._latencies_ms),
            answers=tuple(self._answers[number] for number in range(len(self._articles))),
        )


def take_turn(
    side: Side, articles: Sequence[Article], in_flight: int, *, clock: Callable[[], float] = time.perf_counter
) -> Turn:
    """Give a side all articles, ``in_flight`` at a time.

    Raises:
        BenchmarkError: An article was answered with an error, or not at all.
    """
    load = _Load(side, articles, clock)
    start_s = load.last_s
    following = min(in_flight, len(articles))
    for number in range(following):
        load.submit(number)
    while load.answered < len(articles):
        load.take()
        if following < len(articles):
            load.submit(following)
            following += 1
    return load.turn(start_s)


def take_arrivals(
    side: Side,
    articles: Sequence[Article],
    per_s: float,
    rng: np.random.Generator,
    *,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Turn:
    """Give a side all articles at random moments (a Poisson process), whether or not earlier ones are answered.

    A latency counts from the moment when the article was due.

    Raises:
        BenchmarkError: An article was answered with an error, or not at all.
    """
    load = _Load(side, articles, clock)
    start_s = load.last_s
    for number, after_s in enumerate(rng.exponential(1 / per_s, len(articles)).cumsum()):
        due_s = start_s + float(after_s)
        if (wait_s := due_s - clock()) > 0:
            sleep(wait_s)
        load.submit(number, due_s)
    while load.answered < len(articles):
        load.take()
    return load.turn(start_s)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one value or more."""
        return cls(median=statistics.median(values), least=min(values), most=max(values))
