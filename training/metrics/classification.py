"""Measure a classifier: accuracy, macro-F1, per class and per source, and how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def evaluate(
    probabilities: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    names: Sequence[str],
    sources: Sequence[str] | None = None,
    *,
    smallest_source: int = 10,
) -> dict[str, Any]:
    """Metrics of class probabilities against class ids.

    Args:
        probabilities: An array (articles, classes).
        labels: The true class ids, one per article.
        names: The classes' names, by id.
        sources: Where each article comes from; gives ``per_source``.
        smallest_source: A source with fewer articles is left out of ``per_source``.

    Returns:
        ``articles``, ``accuracy``, ``macro_f1`` (the mean over the classes that occur), ``calibration_error`` (expected
        calibration error over ten bins of confidence), ``log_loss``, ``per_class``, ``confusion``, ``reliability`` and
        ``per_source``. Fractions lie between 0 and 1.
    """
    predicted = probabilities.argmax(axis=1)
    result: dict[str, Any] = {
        "articles": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": macro_f1(predicted, labels),
        "calibration_error": calibration_error(probabilities, labels),
        "log_loss": float(-np.log(np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1.0)).mean()),
        "per_class": {
            name: {"f1": _f1(predicted, labels, index), "articles": int((labels == index).sum())}
            for index, name in enumerate(names)
        },
        "confusion": confusion(predicted, labels, len(names)),
        "reliability": reliability(probabilities, labels),
    }
    if sources is not None:
        every = np.asarray([str(source) for source in sources])
        result["per_source"] = {}
        for source in sorted(set(every.tolist()) - {""}):
            mask = every == source
            if mask.sum() >= smallest_source:
                result["per_source"][source] = {
                    "articles": int(mask.sum()),
                    "accuracy": float((predicted[mask] == labels[mask]).mean()),
                    "macro_f1": macro_f1(predicted[mask], labels[mask]),
                }
    return result


def validation_figures(
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    sources: Sequence[str] | None = None,
    *,
    smallest_source: int = 10,
) -> dict[str, float]:
    """The figures that checkpoints are compared by: ``accuracy`` and ``macro_f1``.

    With sources ``macro_f1`` is the mean of theirs, so that a large one counts no more than a small one. Those with
    fewer than ``smallest_source`` articles or with but one label are left out; if none is left, it is of all articles.
    """
    accuracy = float((predicted == labels).mean())
    every = np.asarray([] if sources is None else [str(source) for source in sources])
    masks = [every == source for source in sorted(set(every.tolist()))]
    kept = [mask for mask in masks if mask.sum() >= smallest_source and len(set(labels[mask].tolist())) > 1]
    if not kept:
        return {"accuracy": accuracy, "macro_f1": macro_f1(predicted, labels)}
    return {"accuracy": accuracy, "macro_f1": float(np.mean([macro_f1(predicted[m], labels[m]) for m in kept]))}


def macro_f1(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """The mean F1 over the classes that occur among the labels or the predictions."""
    classes = sorted(set(labels.tolist()) | set(predicted.tolist()))
    return float(np.mean([_f1(predicted, labels, index) for index in classes]))


def _f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], index: int) -> float:
    hits = int(((predicted == index) & (labels == index)).sum())
    total = int((predicted == index).sum() + (labels == index).sum())
    return 2 * hits / total if total else 0.0


def confusion(predicted: NDArray[np.int64], labels: NDArray[np.int64], count: int) -> list[list[int]]:
    """How many articles of each label (rows) the model gives to each class (columns)."""
    table = np.zeros((count, count), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    rows: list[list[int]] = table.tolist()
    return rows


def reliability(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], *, bins: int = 10
) -> list[dict[str, float]]:
    """Mean confidence, accuracy and articles of each bin of confidence, as a reliability diagram shows them."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    masks = [which == index for index in range(bins)]
    return [
        {
            "articles": int(mask.sum()),
            "confidence": float(confidence[mask].mean()) if mask.any() else 0.0,
            "accuracy": float(right[mask].mean()) if mask.any() else 0.0,
        }
        for mask in masks
    ]


def calibration_error(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], *, bins: int = 10) -> float:
    """Expected calibration error (Guo et al., 2017): the mean gap between confidence and accuracy."""
    gaps = [
        entry["articles"] * abs(entry["confidence"] - entry["accuracy"])
        for entry in reliability(probabilities, labels, bins=bins)
    ]
    return float(sum(gaps)) / len(labels)
