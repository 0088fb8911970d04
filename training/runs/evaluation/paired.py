"""Two evaluations on the rows that both have: the differences, each with its interval from the same draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import SettingError
from training.metrics.intervals import DRAWS, Statistic, difference, estimates

from . import labelled, texts
from .report import Report

SMALLEST: Final = 30
"""Fewer rows in common say nothing."""
Statistics = Callable[[pd.DataFrame, Sequence[str]], Mapping[str, Statistic]]

GATED: Final[dict[AnswerKind, Statistics]] = {AnswerKind.LABELS: labelled.gated, AnswerKind.TEXT: texts.gated}
"""What a promotion looks at, higher being better."""
COMPARED: Final[dict[AnswerKind, Statistics]] = {
    AnswerKind.LABELS: labelled.compared,
    AnswerKind.TEXT: texts.compared,
}
"""What a comparison shows."""


def gains(
    ours: tuple[pd.DataFrame, Sequence[str]],
    theirs: tuple[pd.DataFrame, Sequence[str]],
    statistics: Statistics,
    where: str,
    *,
    draws: int = DRAWS,
) -> tuple[int, dict[str, dict[str, float]]]:
    """By how much one evaluation is above another.

    Args:
        ours: Its scores, and the labels of its model.
        theirs: The other's.
        statistics: Which figures.
        where: The two, for the message.
        draws: Bootstrap draws.

    Returns:
        How many rows both have, and the difference of each figure: ``value``, ``low`` and ``high``.

    Raises:
        SettingError: There are fewer than `SMALLEST` of them.
    """
    rows = common(ours[0], theirs[0])
    if len(rows) < SMALLEST:
        raise SettingError(
            f"{where} have {len(rows)} rows in common, and {SMALLEST} are needed; evaluate both on the same table and "
            "split"
        )
    frames = [scores.set_index("row").loc[rows].reset_index() for scores, _ in (ours, theirs)]
    new, old = (statistics(frame, names) for frame, (_, names) in zip(frames, (ours, theirs), strict=True))
    differences = {name: difference(new[name], old[name]) for name in new if name in old}
    return len(rows), estimates(differences, frames[0]["group"].tolist(), draws=draws)


def common(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """The rows that both scores have, by their hash, sorted."""
    return sorted(set(ours["row"]) & set(theirs["row"]))


def beside(
    scores: pd.DataFrame, names: Sequence[str], task: Task, other: Report, *, draws: int = DRAWS
) -> dict[str, Any]:
    """How scores compare with another evaluation, for the document: its model, the rows in common, the differences.

    With fewer rows in common than `SMALLEST` there are no differences.

    Raises:
        SettingError: It is of another task, or has no scores.
    """
    if other.task is not task:
        raise SettingError(f"{other.path}: is an evaluation of {other.task.value}, not of {task.value}")
    if other.scores is None:
        raise SettingError(f"{other.path}: the scores of its rows are not beside it, so no row can be compared")
    kind = CONTRACTS[task].answers
    rows = common(scores, other.scores)
    found: dict[str, dict[str, float]] = {}
    # A comparison that comes to nothing must not cost the answers of a long evaluation their report.
    if len(rows) >= SMALLEST:
        theirs = (other.scores, other.document["labels"])
        _, found = gains((scores, names), theirs, COMPARED[kind], str(other.path), draws=draws)
    return {
        "with": {**other.document["served"], "read": other.document["read"], "settings": other.document["settings"]},
        "date": other.document["date"],
        "rows": len(rows),
        "needed_rows": SMALLEST,
        "gains": found,
    }
