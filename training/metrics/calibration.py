"""Shift the decision of a two-class model so that both classes count alike.

A model that is trained on unbalanced classes calls the rare one too seldom for macro-F1. One number, added to the
logit of the second class and chosen on the validation split, puts that right without another epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .classification import validation_figures

_OFFSETS: Final = np.linspace(-1.0, 1.0, 41)
_NEIGHBOURS: Final = 2
"""The score of an offset is the mean over this many on each side too: chance must not choose."""


def decision_offset(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], sources: Sequence[str] | None = None
) -> float:
    """The offset of the second class's logit, from -1 to 1, that gives the best macro-F1.

    Args:
        probabilities: An array (articles, 2), of the validation split.
        labels: The true class ids.
        sources: Where each article comes from, for the macro-F1 of `validation_figures`; None: all articles alike.

    Raises:
        ValueError: There are not two classes.
    """
    if probabilities.shape[1] != 2:
        raise ValueError(f"an offset stands between two classes, not {probabilities.shape[1]}")
    decided = [shifted(probabilities, float(offset)).argmax(axis=1) for offset in _OFFSETS]
    scores = np.asarray([validation_figures(predicted, labels, sources)["macro_f1"] for predicted in decided])
    window = 2 * _NEIGHBOURS + 1
    smooth = np.convolve(np.pad(scores, _NEIGHBOURS, mode="edge"), np.ones(window) / window, "valid")
    best = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    return float(_OFFSETS[best[np.abs(_OFFSETS[best]).argmin()]])  # of equals the one that changes least


def shifted(probabilities: NDArray[np.floating[Any]], offset: float) -> NDArray[np.float32]:
    """The probabilities after ``offset`` is added to the second class's logit."""
    odds = probabilities * np.asarray([1.0, np.exp(offset)])
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float32)
