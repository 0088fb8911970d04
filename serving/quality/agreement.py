"""Whether people agree about an answer that several of them have judged: Krippendorff's alpha."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from serving.feedback.keeping import Judgment

WRONG: Final = "not "
"""Before a label that was called wrong, where nobody said which is right."""
_Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How far people agree."""

    answers: int
    """That at least two have judged."""
    raters: int
    same: float
    """The share of pairs of judgments of one answer that say the same."""
    alpha: float | None
    """1: always; 0: as often as by chance. None where all judgments are alike, which says nothing of chance."""

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        alpha = None if self.alpha is None else round(self.alpha, 4)
        return {"answers": self.answers, "raters": self.raters, "same": round(self.same, 4), "alpha": alpha}


def agreement(judgments: Sequence[Judgment], *, ordered: bool) -> Agreement | None:
    """How far people agree about the answers of one model; None where no answer was judged by two.

    Source: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011).

    Args:
        judgments: At most one of each rater and answer. An answer that only one has judged does not count.
        ordered: Whether the values are stars: four differs less from five than from one (the ordinal metric). Labels
            are alike or not (nominal), and "not X" is like every label but X.
    """
    by_answer: defaultdict[str, list[Judgment]] = defaultdict(list)
    for one in judgments:
        by_answer[one.prediction].append(one)
    pairable = [found for found in by_answer.values() if len(found) > 1]
    if not pairable:
        return None
    values = sorted({one.value for found in pairable for one in found})
    column = {value: index for index, value in enumerate(values)}
    units = np.zeros((len(pairable), len(values)))
    for row, found in enumerate(pairable):
        for one in found:
            units[row, column[one.value]] += 1
    judged = units.sum(axis=1)
    coincidences = (units / (judged - 1)[:, None]).T @ units - np.diag((units / (judged - 1)[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=1)
    differs = _ordinal(totals) if ordered else _nominal(values)
    by_chance = float(np.sum(np.outer(totals, totals) * differs))
    pairs = units.T @ units - np.diag(units.sum(axis=0))
    alike = float(pairs[differs == 0].sum() / pairs.sum())
    return Agreement(
        answers=len(pairable),
        raters=len({one.rater for found in pairable for one in found}),
        same=alike,
        alpha=1 - (float(totals.sum()) - 1) * float(np.sum(coincidences * differs)) / by_chance if by_chance else None,
    )


def _nominal(values: Sequence[str]) -> _Matrix:
    """Squared differences of labels: 0 where both can be meant at once, else 1; shape (values, values)."""
    return np.array([[float(_contradict(one, other)) for other in values] for one in values])


def _contradict(one: str, other: str) -> bool:
    if one.startswith(WRONG) or other.startswith(WRONG):
        return one == WRONG + other or other == WRONG + one
    return one != other


def _ordinal(totals: _Matrix) -> _Matrix:
    """Squared differences of ranks: how many judgments lie between two values; shape (values, values)."""
    middle = np.cumsum(totals) - totals / 2
    difference: _Matrix = middle[:, None] - middle[None, :]
    return difference**2
