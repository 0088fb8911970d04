"""The temperature and the band of a classifier, from its answers to articles whose labels are known.

**Weights.** Every collection counts the same, however many articles it has: what counts is how the model does on the
next collection, and a large one must not drown the others.

**Temperature** (Guo et al., "On Calibration of Modern Neural Networks", 2017): the T that makes the labels likeliest
under p ** (1 / T) over its sum.

**Band.** An article is answered where its text is enough to judge by and its largest calibrated probability reaches the
threshold. The threshold is the lowest at which no more than a share ``risk`` of the answers is wrong; a tenth of the
articles must be answered, since fewer say nothing. Where no threshold does that, it is the one with the fewest wrong
answers among those that answer a tenth, and ``reached`` says so. (Classification with a reject option: Chow, "On
Optimum Recognition Error and Reject Tradeoff", 1970; Geifman and El-Yaniv, "Selective Classification for Deep Neural
Networks", 2017.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

Floats = npt.NDArray[np.float64]
LEAST_ANSWERED: Final = 0.1
"""Share of the articles that must be answered."""
_HOTTEST: Final = 20.0
_SMALLEST: Final = 1e-12
_TINY: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Band:
    """What was fitted."""

    temperature: float
    threshold: float
    reached: bool
    """Whether the answers are as seldom wrong as was asked."""


def calibrated(probabilities: Floats, temperature: float | Floats) -> Floats:
    """Probabilities [n, C] at a temperature, or at one of each row [n, 1], as the labels backend has them.

    Each row adds up to 1.
    """
    logits = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Floats = powers / powers.sum(axis=1, keepdims=True)
    return scaled


def weights(sources: Sequence[str]) -> Floats:
    """A weight for each article, [n], which add up to 1, and to the same for every collection."""
    _, which, counts = np.unique(np.asarray(sources), return_inverse=True, return_counts=True)
    found: Floats = 1.0 / (counts[which] * len(counts))
    return found


def fit_temperature(probabilities: Floats, labels: npt.NDArray[np.int64], weight: Floats) -> float:
    """The temperature between 1/20 and 20 with the least weighted negative log likelihood."""

    def loss(exponent: float) -> float:
        likely = calibrated(probabilities, float(np.exp(exponent)))[np.arange(len(labels)), labels]
        return -float(weight @ np.log(np.maximum(likely, _SMALLEST)))

    bound = float(np.log(_HOTTEST))
    found: Any = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    return round(float(np.exp(found.x)), 3)


def risk_coverage(sure: Floats, right: npt.NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats, Floats]:
    """The curve of all thresholds, from the highest to the lowest: threshold, share answered, share of these wrong.

    Args:
        sure: The largest probability of each article, [n]; minus infinity for one that is never answered.
        right: Whether its label is right, [n].
        weight: Its weight, [n].

    Returns:
        Three arrays [m], one entry for each different value of ``sure`` that is finite.
    """
    order = np.argsort(-sure, kind="stable")
    order = order[np.isfinite(sure[order])]
    answered, wrong = np.cumsum(weight[order]), np.cumsum(weight[order] * ~right[order])
    # Articles that are equally sure are answered together.
    last = np.append(np.flatnonzero(np.diff(sure[order])), len(order) - 1) if len(order) else np.array([], np.int64)
    return sure[order][last], answered[last], wrong[last] / answered[last]


def fit_band(
    probabilities: Floats,
    labels: npt.NDArray[np.int64],
    sources: Sequence[str],
    clear: npt.NDArray[np.bool_],
    *,
    risk: float,
) -> Band:
    """Temperature and threshold; see the module for the rule.

    Args:
        probabilities: As the model gave them, [n, C].
        labels: The true classes, [n].
        sources: The collection of each article, [n].
        clear: Whether its text is enough to judge by, [n]; the others are never answered.
        risk: Share of the answers that may be wrong.

    Raises:
        ValueError: No text is enough to judge by.
    """
    if not clear.any():
        raise ValueError("none of the texts is enough to judge by")
    among_clear = weights(np.asarray(sources)[clear].tolist())
    temperature = fit_temperature(probabilities[clear], labels[clear], among_clear)
    sure = np.where(clear, calibrated(probabilities, temperature).max(axis=1), -np.inf)
    right = probabilities.argmax(axis=1) == labels
    threshold, answered, wrong = risk_coverage(sure, right, weights(sources))
    enough = answered >= min(LEAST_ANSWERED, answered[-1])
    good = enough & (wrong <= risk + _TINY)
    reached = bool(good.any())
    best = np.flatnonzero(good)[-1] if reached else np.flatnonzero(enough)[np.argmin(wrong[enough])]
    # Rounded down, so that the article that set the threshold is answered.
    lowest = int(threshold[best] * 1000) / 1000 if best < len(threshold) - 1 else 0.0
    return Band(temperature=temperature, threshold=lowest, reached=reached)
