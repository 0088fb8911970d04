"""Both sides in turn, round by round: what one has that the other has not is judged within a round."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from engine.article import Article

from .sides import Side
from .turns import Spread, Turn, take_turn

_LOG: Final = logging.getLogger(__name__)
LOOP, SLOTS = "one graph", "slots"
"""The sides, by the names that they have in a report."""


class Group(StrEnum):
    """Cases that stand in one table."""

    ALONE = "alone"
    """An article at a time."""
    BUSY = "busy"
    """Articles of one kind, several in flight."""
    MIXED = "mixed"
    """Articles with wishes of their own."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Articles that both sides are given."""

    group: Group
    name: str
    in_flight: int
    articles: tuple[Article, ...]

    @property
    def mean_tokens_in(self) -> float:
        """Tokens of an article."""
        return float(np.mean([len(article.ids) for article in self.articles]))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One side in one case, over the rounds."""

    per_s: Spread
    p50_ms: Spread
    p95_ms: Spread
    cpu_ms: Spread
    """Processor time of an article, of all threads."""


@dataclass(kw_only=True)
class Compared:
    """A case that was measured."""

    case: Case
    turns: dict[str, list[Turn]] = field(default_factory=lambda: {LOOP: [], SLOTS: []})
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: {LOOP: [], SLOTS: []})

    def figures(self, side: str) -> Figures:
        """What one side did."""
        turns = self.turns[side]
        return Figures(
            per_s=Spread.of([turn.per_s for turn in turns]),
            p50_ms=Spread.of([turn.percentile_ms(50) for turn in turns]),
            p95_ms=Spread.of([turn.percentile_ms(95) for turn in turns]),
            cpu_ms=Spread.of(self.cpu_ms[side]),
        )

    @property
    def times_as_many(self) -> Spread:
        """Articles a second with slots over those of the one graph, round by round."""
        pairs = zip(self.turns[SLOTS], self.turns[LOOP], strict=True)
        return Spread.of([slots.per_s / loop.per_s for slots, loop in pairs])

    @property
    def times_p50(self) -> Spread:
        """The median latency with slots over that of the one graph, round by round."""
        pairs = zip(self.turns[SLOTS], self.turns[LOOP], strict=True)
        return Spread.of([slots.percentile_ms(50) / loop.percentile_ms(50) for slots, loop in pairs])

    @property
    def times_by_cpu(self) -> Spread:
        """Articles for each second of processor time with slots over those of the one graph, round by round.

        What else the machine does counts less here than in `times_as_many`.
        """
        pairs = zip(self.cpu_ms[SLOTS], self.cpu_ms[LOOP], strict=True)
        return Spread.of([loop_ms / slots_ms for slots_ms, loop_ms in pairs])

    @property
    def mean_tokens_out(self) -> float:
        """Tokens of a summary, as the one graph wrote it."""
        return float(np.mean([len(answer) for answer in self.turns[LOOP][0].answers]))

    @property
    def same(self) -> int:
        """Articles whose summaries were the same on both sides in every round."""
        found = zip(*(turn.answers for turns in self.turns.values() for turn in turns), strict=True)
        return sum(all(np.array_equal(answers[0], other) for other in answers[1:]) for answers in found)


def compare(cases: Sequence[Case], sides: Mapping[str, Side], *, rounds: int) -> list[Compared]:
    """Measure.

    Args:
        cases: What is asked.
        sides: `LOOP` and `SLOTS`.
        rounds: How often; which side begins changes from round to round. One more round comes before the first, which
            does not count.

    Raises:
        BenchmarkError: An article was answered with an error, or not at all.
    """
    found = [Compared(case=case) for case in cases]
    for number in range(-1, rounds):
        _LOG.info("round %d of %d", number + 1, rounds)
        for compared in found:
            for name in (LOOP, SLOTS) if number % 2 else (SLOTS, LOOP):
                start_s = time.process_time()
                turn = take_turn(sides[name], compared.case.articles, compared.case.in_flight)
                cpu_s = time.process_time() - start_s
                if number >= 0:
                    compared.turns[name].append(turn)
                    compared.cpu_ms[name].append(1e3 * cpu_s / len(turn.answers))
    return found
