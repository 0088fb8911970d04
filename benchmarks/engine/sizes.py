"""How much of `engine` is measured, by the size of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHAPES: Final = ((1, 1), (1, 2), (1, 4), (1, 8), (2, 1), (4, 1), (4, 2), (4, 4), (8, 1))
"""Beams, and articles that continue together."""
ROWS: Final = (1, 2, 4, 8)
"""What is profiled."""
LONG_SHAPES: Final = ((1, 1), (1, 2), (1, 4), (4, 1), (4, 2), (4, 4))
"""The same for a model that takes a second for an article."""
LONG_ROWS: Final = (1, 4)


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is measured under a name of ``--size``."""

    articles: int
    """How many a case has."""
    rounds: int
    slots: int
    steps: tuple[tuple[int, int], ...]
    """Beams and articles of the steps that are measured one by one."""
    step_runs: int
    """How often each of them is."""
    profiled_rows: tuple[int, ...]


SIZES: Final = {
    "starter": Size(articles=128, rounds=9, slots=4, steps=SHAPES, step_runs=9, profiled_rows=ROWS),
    "full": Size(articles=8, rounds=3, slots=4, steps=LONG_SHAPES, step_runs=3, profiled_rows=LONG_ROWS),
}
