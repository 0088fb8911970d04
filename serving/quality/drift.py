"""Whether the articles that come are like those that a model learned from: shares of buckets, expected and seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

MOVING_PSI: Final = 0.1
MOVED_PSI: Final = 0.25
"""The customary bounds of the population stability index; N. Siddiqi, "Credit Risk Scorecards" (2006)."""
SURE_P: Final = 0.01
"""A p-value that is not below this may be chance, however large the index of a few articles is."""
FLOOR: Final = 1e-4
"""No share counts as less: the index has a logarithm of it."""
MAX_BUCKETS: Final = 40
"""So many are told, those that moved most."""
_STEPS: Final = 10_000
_PRECISION: Final = 1e-15
_TINY: Final = 1e-300


class State(StrEnum):
    """How far the articles have moved away."""

    STABLE = "stable"
    MOVING = "moving"
    MOVED = "moved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """How far one thing has moved away from its reference."""

    psi: float
    """The population stability index, from 0."""
    p: float
    """How often as much would be seen by chance, by Pearson's chi-squared test."""
    seen: int
    expected_shares: Mapping[str, float]
    seen_shares: Mapping[str, float]

    @property
    def state(self) -> State:
        """What the index means, where it is no chance."""
        if self.psi < MOVING_PSI or self.p >= SURE_P:
            return State.STABLE
        return State.MOVING if self.psi < MOVED_PSI else State.MOVED

    def document(self) -> dict[str, Any]:
        """As JSON has it: shares by bucket in the order of the reference, of many those that moved most."""
        moved = {name: _moved(self.seen_shares[name], share) for name, share in self.expected_shares.items()}
        told = set(sorted(moved, key=lambda name: -moved[name])[:MAX_BUCKETS])
        buckets = [
            {"bucket": name, "expected": round(share, 5), "seen": round(self.seen_shares[name], 5)}
            for name, share in self.expected_shares.items()
            if name in told
        ]
        return {
            "psi": round(self.psi, 4),
            "p": float(f"{self.p:.3g}"),
            "state": str(self.state),
            "seen": self.seen,
            "buckets": buckets,
        }


def drift(expected: Mapping[str, float], counts: Mapping[str, int], *, design_effect: float = 1.0) -> Drift | None:
    """Compare counts with the shares that were expected; None where nothing was counted.

    The index is the sum over all buckets of (seen - expected) * ln(seen / expected), with no share below `FLOOR`; the
    test is Pearson's, with as many degrees of freedom as there are buckets less one.

    Source: for the design effect J. N. K. Rao and A. J. Scott, "The Analysis of Categorical Data From Complex Sample
    Surveys", JASA 76 (1981).

    Args:
        expected: Shares by bucket, which sum to about 1. Buckets that are not in it have a share of 0.
        counts: How often each bucket was seen.
        design_effect: By how much counts vary more than independent ones would: words come together in articles.

    Raises:
        ValueError: Nothing is expected.
    """
    names = [*expected, *(name for name in counts if name not in expected)]
    wanted = np.array([max(expected.get(name, 0.0), 0.0) for name in names])
    seen = np.array([counts.get(name, 0) for name in names], dtype=np.float64)
    if wanted.sum() <= 0:
        raise ValueError("no share is expected: the reference of a drift has at least one bucket above 0")
    total = float(seen.sum())
    if total <= 0:
        return None
    wanted, found = wanted / wanted.sum(), seen / total
    even, level = np.maximum(wanted, FLOOR), np.maximum(found, FLOOR)
    psi = float(np.sum((level - even) * np.log(level / even)))
    even /= even.sum()
    squared = float(np.sum((seen - total * even) ** 2 / (total * even))) / design_effect
    return Drift(
        psi=psi,
        p=chi_squared_p(squared, len(names) - 1),
        seen=round(total),
        expected_shares=dict(zip(names, wanted.tolist(), strict=True)),
        seen_shares=dict(zip(names, found.tolist(), strict=True)),
    )


def chi_squared_p(statistic: float, degrees: int) -> float:
    """How often chance gives a chi-squared statistic that is at least as large; 1 without a degree of freedom."""
    return upper_gamma(degrees / 2, statistic / 2) if degrees > 0 else 1.0


def upper_gamma(a: float, x: float) -> float:
    """The regularised upper incomplete gamma function Q(a, x).

    Source: NIST's Digital Library of Mathematical Functions, 8.7.1 (the series of P = 1 - Q, where it converges
    quickly) and 8.9.2 (the continued fraction, by Lentz's method).

    Args:
        a: Above 0.
        x: At least 0.

    Raises:
        ValueError: They are not.
    """
    if not (a > 0 and x >= 0):
        raise ValueError(f"Q(a, x) has an a above 0 and an x from 0, not {a} and {x}")
    if x == 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= x / (a + step)
            total += term
            if term < _PRECISION * total:
                break
        return max(0.0, 1 - scale * total)
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for step in range(1, _STEPS):
        factor = step * (a - step)
        b += 2
        d = 1 / (factor * d + b or _TINY)
        c = b + factor / c or _TINY
        fraction *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return scale * fraction


def _moved(seen: float, expected: float) -> float:
    level, even = max(seen, FLOOR), max(expected, FLOOR)
    return (level - even) * math.log(level / even)
