"""How sure a figure is: the percentile bootstrap (Efron and Tibshirani, 1993), drawn by article.

Rows of one article, as with several references, are drawn together. A draw is a weight for each row: how often its
article was drawn. A statistic takes the weights of many draws at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
Statistic = Callable[[Floats], Floats]
"""Weights, an array (draws, rows), to one figure a draw; not a number where a draw has none."""

DRAWS: Final = 1000
LEVEL: Final = 0.95
_CELLS: Final = 4_000_000
"""Weights that are held in memory at a time."""


def estimates(
    statistics: Mapping[str, Statistic], groups: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Each figure with the interval in which 95 of 100 draws fall.

    Args:
        statistics: By the name of the figure.
        groups: The article of each row; at least one row.
        draws: How many samples are drawn.
        seed: The same seed draws the same articles.

    Returns:
        By name: ``value``, ``low`` and ``high``; 0 for all three where no draw has the figure.
    """
    one = np.ones((1, len(groups)), dtype=np.float32)
    values = {name: float(statistic(one)[0]) for name, statistic in statistics.items()}
    drawn: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in _weights(groups, draws, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    return {name: _interval(values[name], np.concatenate(drawn[name])) for name in statistics}


def _interval(value: float, drawn: Floats) -> dict[str, float]:
    known = drawn[np.isfinite(drawn)]
    if not len(known) or not np.isfinite(value):
        return {"value": 0.0, "low": 0.0, "high": 0.0}
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": value, "low": float(low), "high": float(high)}


def _weights(groups: Sequence[str], draws: int, seed: int) -> Iterator[Floats]:
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // len(groups))
    for start in range(0, draws, step):
        count = min(step, draws - start)
        chosen = random.integers(len(names), size=(count, len(names)))
        chosen += len(names) * np.arange(count)[:, None]
        often = np.bincount(chosen.ravel(), minlength=count * len(names)).reshape(count, len(names))
        yield often[:, member].astype(np.float32)


def mean(values: ArrayLike, where: ArrayLike | None = None) -> Statistic:
    """The mean of a value of each row, or of the rows ``where`` it counts."""
    numbers = np.asarray(values, dtype=float)
    counted = np.ones(len(numbers)) if where is None else np.asarray(where, dtype=float)
    numbers = np.where(counted > 0, numbers, 0.0)

    def statistic(weights: Floats) -> Floats:
        total = weights @ counted
        empty = np.full(len(weights), np.nan)
        return np.asarray(np.divide(weights @ numbers, total, out=empty, where=total > 0))

    return statistic


def macro_f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> Statistic:
    """The mean F1 over the classes that occur among the labels.

    A model may tell more labels than a table has: those count where they are given instead of the true one, and not as
    classes of their own.

    Args:
        predicted: Class ids, one a row.
        labels: The true class ids.
        classes: How many classes there are.
    """
    occurring = np.unique(labels)
    said, true = (np.eye(classes)[ids][:, occurring] for ids in (predicted, labels))

    def statistic(weights: Floats) -> Floats:
        counted = weights @ (said + true)  # hits count twice
        scores = np.divide(
            2 * (weights @ (said * true)), counted, out=np.full(counted.shape, np.nan), where=counted > 0
        )
        known = np.isfinite(scores)
        empty = np.full(len(counted), np.nan)
        return np.asarray(np.divide(np.nansum(scores, axis=1), known.sum(axis=1), out=empty, where=known.any(axis=1)))

    return statistic


def calibration_error(confidence: Floats, right: NDArray[np.bool_], *, bins: int = 10) -> Statistic:
    """The expected calibration error (Guo et al., 2017) over bins of equal width, as `classification` has it."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.eye(bins)[which] * (confidence - right)[:, None]

    def statistic(weights: Floats) -> Floats:
        return np.asarray(np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1))

    return statistic


def difference(one: Statistic, other: Statistic) -> Statistic:
    """By how much one figure is above another, both of the same draw: the paired bootstrap."""
    return lambda weights: one(weights) - other(weights)
