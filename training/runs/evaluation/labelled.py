"""What the answers of a classifier are worth: the scores of each row, and the figures that follow from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.errors import DataError
from training.metrics import classification, intervals, selective
from training.metrics.intervals import Statistic, estimates

from .answers import Answered
from .groups import groups_of

CHANCE: Final = "p_"
"""Columns of probabilities begin so, with the label behind it; `BASELINE` stands before them for the baseline's."""
BASELINE: Final = "baseline_"
_SHOWN: Final = 20


def require_labels(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Check that the served model can give the labels of a table.

    Raises:
        DataError: It cannot give one of them.
    """
    other = Counter(label for label in frame["label"] if label not in names)
    if other:
        told = ", ".join(f"{label!r} ({rows:,} rows)" for label, rows in other.most_common(_SHOWN))
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        raise DataError(
            f"labels that the served model does not give: {told}{more}; it gives {', '.join(names)}. Rename them with "
            "--labels THEIRS=NAME,... (all labels of the table), or serve a model that has them"
        )


def scores_of(frame: pd.DataFrame, answers: Sequence[Answered], names: Sequence[str]) -> pd.DataFrame:
    """The scores of the rows that were answered.

    Args:
        frame: The rows, with ``label``.
        answers: One a row, none of them refused.
        names: The labels that the model tells.

    Returns:
        A table without texts: ``row``, ``group``, the table's short columns, ``predicted``, ``probability``, ``right``,
        ``signal``, tokens, and the probability of each label.
    """
    told = [answer.answer for answer in answers]
    table = pd.DataFrame(
        {
            "row": frame["row"],
            "group": frame["group"],
            "source": frame["source"],
            "label": frame["label"],
            "predicted": [one["label"] for one in told],
            "probability": [float(one["probability"]) for one in told],
            "signal": [str(one.get("signal", "")) for one in told],
            "doubt": [str(one.get("doubt", "")) for one in told],
            "tokens": [answer.tokens for answer in answers],
            "truncated_tokens": [answer.truncated_tokens for answer in answers],
            **{CHANCE + name: [float(one["probabilities"].get(name, 0.0)) for one in told] for name in names},
        }
    )
    table["right"] = table["predicted"] == table["label"]
    return table


def figures_of(scores: pd.DataFrame, names: Sequence[str], by: Sequence[str], draws: int) -> dict[str, Any]:
    """All figures: ``served``, ``baseline`` where the scores have one, and ``groups``; each with its interval."""
    labels = np.asarray([names.index(label) for label in scores["label"]], dtype=np.int64)
    result: dict[str, Any] = {"served": _whole(scores, labels, names, "", draws)}
    if has_baseline(scores, names):
        result["baseline"] = {"name": "TF-IDF", **_whole(scores, labels, names, BASELINE, draws)}
        ours, theirs = (_macro_f1(scores, labels, names, which) for which in ("", BASELINE))
        gain = {"macro_f1": intervals.difference(ours, theirs)}
        result["gain_over_baseline"] = estimates(gain, scores["group"].tolist(), draws=draws)
    if (scores["signal"] != "").any():
        result["signal"] = _signal(scores, names, draws)
    result["groups"] = [
        {"by": by_what, "name": name, **_group(scores[rows], labels[rows], names, draws, by_what)}
        for by_what, name, rows in groups_of(scores, by)
    ]
    return result


def has_baseline(scores: pd.DataFrame, names: Sequence[str]) -> bool:
    """Whether the scores hold a baseline's probabilities."""
    return all(BASELINE + CHANCE + name in scores for name in names)


def _chances(scores: pd.DataFrame, names: Sequence[str], which: str) -> NDArray[np.float64]:
    return np.asarray(scores[[which + CHANCE + name for name in names]], dtype=float)


def _said(scores: pd.DataFrame, names: Sequence[str], which: str) -> NDArray[np.int64]:
    """Class ids of the answers: of the served model what it said, of the baseline its most probable label."""
    if which:
        return np.asarray(_chances(scores, names, which).argmax(axis=1), dtype=np.int64)
    return np.asarray([names.index(label) for label in scores["predicted"]], dtype=np.int64)


def _macro_f1(scores: pd.DataFrame, labels: NDArray[np.int64], names: Sequence[str], which: str) -> Statistic:
    return intervals.macro_f1(_said(scores, names, which), labels, len(names))


def _headlines(
    scores: pd.DataFrame, labels: NDArray[np.int64], names: Sequence[str], which: str
) -> dict[str, Statistic]:
    right = _said(scores, names, which) == labels
    return {"accuracy": intervals.mean(right), "macro_f1": _macro_f1(scores, labels, names, which)}


def _whole(
    scores: pd.DataFrame, labels: NDArray[np.int64], names: Sequence[str], which: str, draws: int
) -> dict[str, Any]:
    chances, said = _chances(scores, names, which), _said(scores, names, which)
    right, confidence = said == labels, chances.max(axis=1)
    statistics = {
        **_headlines(scores, labels, names, which),
        "calibration_error": intervals.calibration_error(confidence, right),
        "mean_probability": intervals.mean(confidence),
        "mean_probability_of_the_true_label": intervals.mean(chances[np.arange(len(labels)), labels]),
    }
    figures = estimates(statistics, scores["group"].tolist(), draws=draws)
    counts = classification.confusion(said, labels, len(names))
    per_label = {
        name: {
            "rows": sum(counts[index]),
            "precision": _share(counts[index][index], sum(row[index] for row in counts)),
            "recall": _share(counts[index][index], sum(counts[index])),
            "f1": _share(2 * counts[index][index], sum(counts[index]) + sum(row[index] for row in counts)),
        }
        for index, name in enumerate(names)
    }
    return {
        "rows": len(labels),
        "figures": figures,
        "per_label": per_label,
        "confusion": counts,
        "reliability": classification.reliability(chances, labels),
        "risk_coverage": selective.risk_coverage(confidence, right),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _signal(scores: pd.DataFrame, names: Sequence[str], draws: int) -> dict[str, Any]:
    """What the answers that the server stands by are worth: how many there are, and how right they are."""
    found = selective.signalled(scores["signal"].tolist(), scores["label"].tolist(), names)
    statistics = {
        "coverage": intervals.mean(found["said"]),
        "accuracy": intervals.mean(found["right"], found["said"]),
    }
    figures = estimates(statistics, scores["group"].tolist(), draws=draws)
    doubts = scores.loc[scores["doubt"] != "", "doubt"].value_counts()
    return {"figures": figures, "doubts": {str(name): int(count) for name, count in doubts.items()}}


def _group(
    scores: pd.DataFrame, labels: NDArray[np.int64], names: Sequence[str], draws: int, by: str
) -> dict[str, Any]:
    statistics = {**_headlines(scores, labels, names, ""), "mean_probability": intervals.mean(scores["probability"])}
    if has_baseline(scores, names):
        theirs = _headlines(scores, labels, names, BASELINE)
        statistics |= {BASELINE + name: statistic for name, statistic in theirs.items()}
    if (scores["signal"] != "").any():
        found = selective.signalled(scores["signal"].tolist(), scores["label"].tolist(), names)
        statistics["signal_coverage"] = intervals.mean(found["said"])
        statistics["signal_accuracy"] = intervals.mean(found["right"], found["said"])
    if by == "label":  # of one label there is no mean over labels
        statistics = {name: statistic for name, statistic in statistics.items() if not name.endswith("macro_f1")}
    return {"rows": len(scores), "figures": estimates(statistics, scores["group"].tolist(), draws=draws)}


def gated(scores: pd.DataFrame, names: Sequence[str]) -> Mapping[str, Statistic]:
    """The figures that a promotion looks at, higher being better."""
    labels = np.asarray([names.index(label) for label in scores["label"]], dtype=np.int64)
    return {"macro_f1": _macro_f1(scores, labels, names, "")}


def compared(scores: pd.DataFrame, names: Sequence[str]) -> Mapping[str, Statistic]:
    """The figures that a comparison shows."""
    labels = np.asarray([names.index(label) for label in scores["label"]], dtype=np.int64)
    confidence = scores["probability"].to_numpy(dtype=float)
    right = (scores["predicted"] == scores["label"]).to_numpy()
    error = intervals.calibration_error(confidence, right)
    return {**_headlines(scores, labels, names, ""), "calibration_error": error}
