"""The few figures that a run is told by: its test figures beside those of its baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task

DECIDING: Final = {AnswerKind.LABELS: "macro_f1", AnswerKind.TEXT: "rougeLsum"}
"""The test figure that decides which of two models is better, by what the answers are made of."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One test figure in words."""

    name: str
    """As ``metrics.json`` has it, such as ``macro_f1``."""
    label: str
    """As people call it, such as macro-F1."""
    model: float
    baseline: float
    highest: float
    """What it can be at most."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What a run is told by, the most telling figure first."""

    figures: tuple[Figure, ...]
    articles: int
    """Test articles that the figures rest on."""
    baseline: str
    """What the baseline is, in words."""


def headline(metrics: Mapping[str, Any]) -> Headline:
    """The headline of a run.

    Args:
        metrics: What ``metrics.json`` of a checkpoint folder holds.
    """
    return _HEADLINES[CONTRACTS[Task(metrics["task"])].answers](metrics)


def _of_labels(metrics: Mapping[str, Any]) -> Headline:
    names = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
    return Headline(
        figures=_figures(names, metrics["test"], metrics.get("baseline", {}).get("test", {}), highest=1.0),
        articles=int(metrics["test"]["articles"]),
        baseline="TF-IDF with logistic regression, fitted to the same articles",
    )


def _of_texts(metrics: Mapping[str, Any]) -> Headline:
    names = {"rougeLsum": "ROUGE-Lsum", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2"}
    sentences, lead = _best_lead(metrics)
    return Headline(
        figures=_figures(names, metrics["test"], lead, highest=100.0),
        articles=int(metrics["rows"]),
        baseline="the article's first sentence" if sentences == 1 else f"the article's first {sentences} sentences",
    )


def _best_lead(metrics: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """How many first sentences of an article make the best summary, and the figures of these."""
    leads = {count: metrics[f"lead_{count}"] for count in (1, 2, 3)}
    return max(leads.items(), key=lambda lead: float(lead[1]["rougeLsum"]))


def _figures(
    names: Mapping[str, str], model: Mapping[str, Any], baseline: Mapping[str, Any], *, highest: float
) -> tuple[Figure, ...]:
    return tuple(
        Figure(name=name, label=label, model=float(model[name]), baseline=float(baseline[name]), highest=highest)
        for name, label in names.items()
        if name in model and name in baseline
    )


_HEADLINES: Final[dict[AnswerKind, Callable[[Mapping[str, Any]], Headline]]] = {
    AnswerKind.LABELS: _of_labels,
    AnswerKind.TEXT: _of_texts,
}
