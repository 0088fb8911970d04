"""A figure and how sure it is: an interval that holds the truth 95 times of 100, for shares and for means of stars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

STARS: Final = 5
_TAIL: Final = 0.025
_Z: Final = 1.959963984540054
"""Quantile of the normal distribution at 1 - `_TAIL`."""
_MAX_EXACT: Final = 5_000
"""The mean of more ratings is normal to the fourth digit, and the exact way takes milliseconds."""
_DIGITS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    count: int
    """From how many observations."""

    def document(self, counted: str = "ratings") -> dict[str, Any]:
        """As JSON has it, with the count under a name."""
        rounded = {"value": self.value, "low": self.low, "high": self.high}
        return {**{name: round(one, _DIGITS) for name, one in rounded.items()}, counted: self.count}


def share(right: int, count: int) -> Interval | None:
    """The share of those that are right, with Wilson's score interval; None of none.

    It never leaves 0 to 1, and one observation gives a wide interval instead of one without width.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).

    Args:
        right: How many are right.
        count: Of how many.

    Raises:
        ValueError: There are more right ones than there are, or fewer than none.
    """
    if not 0 <= right <= count:
        raise ValueError(f"{right} of {count} cannot be right: it is 0 to {count}")
    if count == 0:
        return None
    value, squared = right / count, _Z * _Z
    middle = (value + squared / (2 * count)) / (1 + squared / count)
    half = _Z * math.sqrt(value * (1 - value) / count + squared / (4 * count * count)) / (1 + squared / count)
    low = 0.0 if right == 0 else middle - half
    high = 1.0 if right == count else middle + half
    return Interval(value=value, low=low, high=high, count=count)


@lru_cache(maxsize=4096)  # the batches that are full never change
def mean_stars(counts: tuple[int, ...]) -> Interval | None:
    """The mean of stars, with a bootstrap interval; None of none.

    The interval is that of the ideal bootstrap (infinitely many resamples, so nothing is random): the percentiles of
    the mean of as many draws from the ratings that there are. One more rating, spread evenly over all stars, smooths
    what is drawn from: ratings that are all alike, or one alone, would give an interval without width.

    Source: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6 and 13; the distribution
    of the sum is the n-fold convolution, computed as a power of its Fourier transform.

    Args:
        counts: How many gave 1, 2, 3, 4 and 5 stars, shape (5,).

    Raises:
        ValueError: These are no five counts.
    """
    if len(counts) != STARS or min(counts) < 0:
        raise ValueError(f"the counts of 1 to {STARS} stars are {STARS} numbers from 0, not {counts}")
    count = sum(counts)
    if count == 0:
        return None
    stars = np.arange(1, STARS + 1)
    value = float(stars @ np.asarray(counts)) / count
    drawn = (np.asarray(counts, dtype=np.float64) + 1 / STARS) / (count + 1)
    if count > _MAX_EXACT:
        middle = float(stars @ drawn)
        half = _Z * math.sqrt(float((stars - middle) ** 2 @ drawn) / count)
        low, high = middle - half, middle + half
    else:
        steps = (STARS - 1) * count + 1  # the sum of the draws lies count to 5 * count
        size = 1 << (steps - 1).bit_length()
        sums = np.fft.irfft(np.fft.rfft(drawn, size) ** count, size)[:steps]
        below = np.cumsum(sums)
        low, high = (1 + int(np.searchsorted(below, tail)) / count for tail in (_TAIL, 1 - _TAIL))
    return Interval(value=value, low=max(1.0, min(low, value)), high=min(float(STARS), max(high, value)), count=count)
