"""The fits of a calibration: the one that is served, and those that are judged by articles that they have not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from export.errors import TableError

from .asking import Answers
from .figures import Judged
from .fitting import Band, fit_band
from .held_out import HeldOut, require_enough, require_labels

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fits:
    """What came of a calibration's fits."""

    served: Band
    judged: Judged
    """The articles that are judged, each with a band that has not seen it."""
    fitted_on: Mapping[str, int]
    """How many articles of each collection the served band was fitted on."""


@dataclass(frozen=True, kw_only=True)
class _Articles:
    answers: Answers
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]
    """The labels in words."""
    sources: npt.NDArray[np.str_]
    risk: float

    @property
    def clear(self) -> _Mask:
        return self.answers.clear

    def fit(self, mask: _Mask) -> Band:
        return fit_band(
            self.answers.probabilities[mask],
            self.labels[mask],
            self.sources[mask].tolist(),
            self.clear[mask],
            risk=self.risk,
        )

    def judged(self, mask: _Mask, bands: Mapping[str, Band]) -> Judged:
        return Judged(
            probabilities=self.answers.probabilities[mask],
            labels=self.labels[mask],
            sources=self.sources[mask].tolist(),
            clear=self.clear[mask],
            bands=bands,
        )

    def count(self, mask: _Mask) -> dict[str, int]:
        return dict(sorted(Counter(self.sources[mask].tolist()).items()))


def fits(answers: Answers, names: tuple[str, ...], *, held_out: HeldOut, risk: float) -> Fits:
    """Fit a band to serve, and judge articles by bands that have not seen them.

    Args:
        answers: The model's answers to the articles.
        names: Its labels, in the order of its classes.
        held_out: What a band that is judged has not seen.
        risk: Share of the answers that may be wrong.

    Raises:
        TableError: Too few articles are enough to judge by, or all that are fitted on have the same label.
    """
    classes = {name: index for index, name in enumerate(names)}
    articles = _Articles(
        answers=answers,
        labels=np.array([classes[row.label] for row in answers.rows]),
        names=names,
        sources=np.array([row.source for row in answers.rows]),
        risk=risk,
    )
    return _WAYS[held_out](articles)


def _by_collection(articles: _Articles) -> Fits:
    mine = {name: articles.sources == name for name in sorted(set(articles.sources.tolist()))}
    for name, mask in mine.items():
        require_enough(int(np.count_nonzero(articles.clear & ~mask)), without=name)
    clear = np.flatnonzero(articles.clear)
    require_labels(articles.sources[clear].tolist(), [articles.names[index] for index in articles.labels[clear]])
    every = np.ones(len(articles.labels), bool)
    bands = {name: articles.fit(~mask) for name, mask in mine.items()}
    return Fits(served=articles.fit(every), judged=articles.judged(every, bands), fitted_on=articles.count(every))


def _by_half(articles: _Articles) -> Fits:
    fitted = np.array([row.fits for row in articles.answers.rows])
    for half in (fitted, ~fitted):
        require_enough(int(np.count_nonzero(articles.clear & half)))
    told = {articles.names[index] for index in articles.labels[articles.clear & fitted]}
    if len(told) < 2:
        raise TableError(
            f"two labels are needed among the articles of the half that is fitted on that are enough to judge by, and "
            f"every one is {told.pop()!r}: give more articles of other labels"
        )
    band = articles.fit(fitted)
    bands = dict.fromkeys(articles.sources.tolist(), band)
    return Fits(served=band, judged=articles.judged(~fitted, bands), fitted_on=articles.count(fitted))


_WAYS: Final[Mapping[HeldOut, Callable[[_Articles], Fits]]] = {
    HeldOut.COLLECTION: _by_collection,
    HeldOut.HALF: _by_half,
}
