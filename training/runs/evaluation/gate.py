"""The gate of a promotion: a model that is worse as served than the champion does not take its place.

Both were asked about the same rows, so the difference is drawn row by row (the paired bootstrap of `metrics.intervals`,
by article). *Worse* is a figure whose difference, with 95 of 100 draws, lies wholly below zero. Where one evaluation
has no scores of its rows, the figures themselves are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import SettingError

from . import paired
from .paired import GATED
from .report import SHARES, Report

_WORDS: Final = {
    "macro_f1": "macro-F1, %",
    "rougeLsum": "ROUGE-Lsum",
    "faithful": "summaries without a foreign sentence, %",
}
_PERCENT: Final = SHARES | {"faithful"}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What came of comparing two models as they are served."""

    passed: bool
    text: str


def require_task(report: Report, task: Task) -> None:
    """Check that an evaluation is of a task.

    Raises:
        SettingError: It is of another.
    """
    if report.task is not task:
        raise SettingError(f"{report.path}: is an evaluation of {report.task.value}, not of {task.value}")


def judge(newcomer: Report, champion: Report) -> Judgement:
    """Whether a newcomer may take the champion's place.

    Raises:
        SettingError: The two do not compare: of other tasks, of one and the same served model, or of other rows.
    """
    require_task(newcomer, champion.task)
    if newcomer.revision and newcomer.revision == champion.revision:
        raise SettingError(
            f"{newcomer.path} and {champion.path}: both are of the served revision {newcomer.revision}, so they do not "
            "compare two models; export and serve the newcomer, and evaluate it"
        )
    for name, words in (("read", "what the model was given"), ("cleaned", "whether the text was cleaned")):
        if newcomer.document[name] != champion.document[name]:
            raise SettingError(f"{newcomer.path} and {champion.path} differ in {words}; evaluate both alike")
    if newcomer.scores is None or champion.scores is None:
        return _by_figures(newcomer, champion)
    return _by_rows(newcomer, champion, newcomer.scores, champion.scores)


def _by_rows(newcomer: Report, champion: Report, ours: pd.DataFrame, theirs: pd.DataFrame) -> Judgement:
    labels = [report.document["labels"] for report in (newcomer, champion)]
    where = f"{newcomer.path} and {champion.path}"
    rows, gains = paired.gains((ours, labels[0]), (theirs, labels[1]), GATED[_kind(newcomer)], where)
    worse = [name for name, gain in gains.items() if gain["high"] < 0]
    said = "; ".join(f"{_WORDS[name]} {_gain(name, gain)}" for name, gain in gains.items())
    rule = "worse is what lies wholly below zero with 95 % of the draws"
    return _judgement(worse, f"on the {rows:,} rows that both answered: {said} ({rule})")


def _by_figures(newcomer: Report, champion: Report) -> Judgement:
    hashes = [[file["sha256"] for file in report.document["data"]] for report in (newcomer, champion)]
    counts = [report.document["rows"]["asked"] for report in (newcomer, champion)]
    if hashes[0] != hashes[1] or counts[0] != counts[1]:
        raise SettingError(
            f"{newcomer.path} and {champion.path} are of other rows, and the scores of their rows are not beside both; "
            "evaluate both on the same table and split"
        )
    gains = {name: _figure(newcomer, name) - _figure(champion, name) for name in _FIGURES[_kind(newcomer)]}
    worse = [name for name, gain in gains.items() if gain < 0]
    said = "; ".join(f"{_WORDS[name]} {_scale(name) * gain:+.2f}" for name, gain in gains.items())
    return _judgement(worse, f"without the scores of the rows: {said} (worse is what is below zero)")


def _judgement(worse: Sequence[str], text: str) -> Judgement:
    if not worse:
        return Judgement(passed=True, text=f"as served it is not worse than the champion {text}")
    names = ", ".join(_WORDS[name] for name in worse)
    return Judgement(passed=False, text=f"as served it is worse than the champion in {names} {text}")


def _kind(report: Report) -> AnswerKind:
    return CONTRACTS[report.task].answers


_FIGURES: Final = {AnswerKind.LABELS: ("macro_f1",), AnswerKind.TEXT: ("rougeLsum", "faithful")}


def _figure(report: Report, name: str) -> float:
    figures: dict[str, Any] = report.document["figures"]["served"]["figures"]
    return 1.0 - float(figures["foreign"]["value"]) if name == "faithful" else float(figures[name]["value"])


def _scale(name: str) -> float:
    return 100.0 if name in _PERCENT else 1.0


def _gain(name: str, gain: Mapping[str, float]) -> str:
    value, low, high = (f"{_scale(name) * gain[part]:+.2f}" for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
