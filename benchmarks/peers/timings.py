"""Medians, and ratios that are taken round by round: what a noisy minute does to both sides cancels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The middle of some values and how far they lie apart."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of ``values``.

        Raises:
            ValueError: There are none.
        """
        if not values:
            raise ValueError("a spread needs at least one value")
        return cls(median=median(values), minimum=min(values), maximum=max(values))


def ratios(rounds: Sequence[float], reference: Sequence[float]) -> Spread:
    """How many times as long as ``reference`` each round took; the two lists belong together place by place.

    Raises:
        ValueError: The lists differ in length, are empty, or the reference holds a time that is not above 0.
    """
    if len(rounds) != len(reference):
        raise ValueError(f"ratios need as many rounds on both sides, not {len(rounds)} and {len(reference)}")
    if any(value <= 0 for value in reference):
        raise ValueError("a reference time is above 0 seconds")
    return Spread.of([a / b for a, b in zip(rounds, reference, strict=True)])


def agreement(answers: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float:
    """The share of rows that are the same, 0 to 1."""
    same = [list(a) == list(b) for a, b in zip(answers, reference, strict=True)]
    return sum(same) / len(same)


def largest_difference(answers: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float:
    """The largest difference of a probability."""
    return max(
        abs(a - b) for row, expected in zip(answers, reference, strict=True) for a, b in zip(row, expected, strict=True)
    )
