"""What a band does on articles that it was not fitted on, collection by collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .fitting import Band, Floats, calibrated, risk_coverage, weights

ALL: Final = "all, each the same"
"""The name of the figures over every collection."""
_BINS: Final = 10
DIGITS: Final = 4
"""Figures are kept with so many decimals."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What the picture shows of one collection."""

    answered: Floats
    """Share answered, [m]..."""
    wrong: Floats
    """...and share of these that is wrong, [m]: the risk-coverage curve."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Articles whose labels are known, each judged by a band that was not fitted on it."""

    probabilities: Floats
    """[n, C]."""
    labels: npt.NDArray[np.int64]
    """True classes, [n]."""
    sources: Sequence[str]
    clear: npt.NDArray[np.bool_]
    bands: Mapping[str, Band]
    """The band that judges the articles of each collection."""

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the most probable label is right, [n]."""
        found: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return found

    @property
    def sure(self) -> Floats:
        """The largest calibrated probability, [n]; minus infinity where the text is too little to judge by."""
        return np.where(self.clear, self._highest(), -np.inf)

    def temperatures(self) -> list[float]:
        """The lowest and the highest temperature of the bands; one entry where they are the same."""
        return sorted({pick(band.temperature for band in self.bands.values()) for pick in (min, max)})

    def names(self) -> list[str]:
        """The collections, in their order, and `ALL` where there are several."""
        found = sorted(set(self.sources))
        return found if len(found) == 1 else [*found, ALL]

    def weight(self, name: str) -> Floats:
        """The weights of the articles in the figures of a collection, [n], which add up to 1."""
        if name == ALL:
            return weights(self.sources)
        mine = np.asarray(self.sources) == name
        found: Floats = mine / mine.sum()
        return found

    def figures(self, name: str) -> dict[str, Any]:
        """The figures of a collection.

        ``articles``; ``clear``, the share whose text is enough to judge by; ``coverage``, the share that is answered;
        ``accuracy`` of all labels, and their ``macro_f1``: the mean F1 of the labels that a collection has (not of
        those that are only said of it), and over all collections the mean of theirs; ``accuracy_answered``; ``ece`` and
        ``ece_calibrated``, the expected calibration error over ten bins before and after; ``aurc``, the area under the
        risk-coverage curve: the mean share of wrong answers over all coverages (Geifman et al., "Bias-Reduced
        Uncertainty Estimation", 2019). A share of nothing is None.
        """
        weight, right, sure = self.weight(name), self.right, self.sure
        answered = sure >= np.array([self.bands[source].threshold for source in self.sources])
        clear = weight * self.clear
        curve = self.curve(name)
        values = {
            "clear": clear.sum(),
            "coverage": weight @ answered,
            "accuracy": weight @ right,
            "macro_f1": np.mean(
                [self._macro_f1(one) for one in (sorted(set(self.sources)) if name == ALL else [name])]
            ),
            "accuracy_answered": _mean(right, weight * answered),
            "ece": self._error(self.probabilities.max(axis=1), clear),
            "ece_calibrated": self._error(self._highest(), clear),
            "aurc": float(np.diff(curve.answered, prepend=0.0) @ curve.wrong / curve.answered[-1])
            if len(curve.answered)
            else None,
        }
        rounded = {key: None if value is None else round(float(value), DIGITS) for key, value in values.items()}
        return {"collection": name, "articles": int(np.count_nonzero(weight)), **rounded}

    def curve(self, name: str) -> Curves:
        """The risk-coverage curve of a collection."""
        weight = self.weight(name)
        sure = np.where(weight > 0, self.sure, -np.inf)
        _, answered, wrong = risk_coverage(sure, self.right, weight)
        return Curves(answered=answered, wrong=wrong)

    def reliability(self, *, fitted: bool) -> tuple[Floats, Floats]:
        """The points of a reliability diagram over all collections: how sure, and how often right.

        Args:
            fitted: Whether the probabilities are calibrated, or as the model gives them.
        """
        weight = self.weight(self.names()[-1]) * self.clear
        sure = self._highest() if fitted else self.probabilities.max(axis=1)
        bins = [(sure[mask], self.right[mask], weight[mask]) for mask in _bins(sure) if weight[mask].sum() > 0]
        return (
            np.array([_mean(confidence, share) for confidence, _, share in bins], np.float64),
            np.array([_mean(right, share) for _, right, share in bins], np.float64),
        )

    def _highest(self) -> Floats:
        each = np.array([self.bands[source].temperature for source in self.sources])
        highest: Floats = calibrated(self.probabilities, each[:, None]).max(axis=1)
        return highest

    def _macro_f1(self, source: str) -> float:
        mine = np.asarray(self.sources) == source
        labels, said = self.labels[mine], self.probabilities[mine].argmax(axis=1)
        # Twice the hits, over how often a label is true and how often it is said.
        scores = [
            2
            * np.count_nonzero((labels == one) & (said == one))
            / (np.count_nonzero(labels == one) + np.count_nonzero(said == one))
            for one in np.unique(labels)
        ]
        return float(np.mean(scores))

    def _error(self, sure: Floats, weight: Floats) -> float | None:
        if not weight.sum():
            return None
        gaps = [abs(weight[mask] @ (sure[mask] - self.right[mask])) for mask in _bins(sure) if weight[mask].any()]
        return float(sum(gaps) / weight.sum())


def _mean(values: npt.NDArray[Any], weight: Floats) -> float | None:
    return float(values @ weight / weight.sum()) if weight.sum() else None


def _bins(sure: Floats) -> list[npt.NDArray[np.bool_]]:
    which = np.minimum((np.maximum(sure, 0.0) * _BINS).astype(int), _BINS - 1)
    return [which == index for index in range(_BINS)]
