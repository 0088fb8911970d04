"""What doubt is worth: how accurate a classifier is on the part of the articles that it is surest of.

The risk-coverage curve is that of El-Yaniv and Wiener (2010), the area under it that of Geifman and El-Yaniv (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COVERAGES: Final = (0.5, 0.8, 0.9, 1.0)


def accuracies(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The accuracy on the 1, 2, 3 ... articles of the highest confidence; of equals none comes before another.

    Args:
        confidence: How sure the model is, one an article; at least one.
        right: Whether its answer is the true one.

    Returns:
        An array (articles,). Within a run of equal confidence each article counts as its run does on average, so the
        order of the table does not matter.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = right[order].astype(float)
    _, runs, sizes = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    shared = np.bincount(runs, weights=ranked) / sizes
    return np.asarray(np.cumsum(shared[runs]) / np.arange(1, len(ranked) + 1))


def risk_coverage(
    confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], *, points: int = 51
) -> dict[str, Any]:
    """The risk-coverage curve.

    Returns:
        ``area``: the mean risk (1 - accuracy) over all coverages, lower is better; ``at``: the accuracy at each of
        `COVERAGES`; ``curve``: pairs of coverage and accuracy, both 0 to 1.
    """
    kept = accuracies(confidence, right)
    places = np.unique(np.linspace(0, len(kept) - 1, points).round().astype(int))
    return {
        "area": float(1 - kept.mean()),
        "at": {f"{coverage:g}": float(kept[_last(coverage, len(kept))]) for coverage in COVERAGES},
        "curve": [[float((place + 1) / len(kept)), float(kept[place])] for place in places],
    }


def _last(coverage: float, count: int) -> int:
    return max(1, round(coverage * count)) - 1


def signalled(signals: Sequence[str], labels: Sequence[str], names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Which articles got a signal, and which of them the right one.

    Args:
        signals: One of ``names``, or the task's word of doubt.
        labels: The true labels.
        names: The labels that the model tells.
    """
    said = np.asarray([signal in names for signal in signals], dtype=bool)
    right = np.asarray([signal == label for signal, label in zip(signals, labels, strict=True)], dtype=bool)
    return {"said": said, "right": said & right}
