"""The pictures of an evaluation, as `drawing` draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.metrics.summarization import METRICS
from training.runs.pages.drawing import FAINT, INK, OTHER, SERVED, THIRD, axes_of, legend, svg

_MOST_GROUPS: Final = 14


def pictures_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The pictures of a document: their titles, and SVG elements."""
    drawn = _PICTURES[CONTRACTS[Task(document["task"])].answers](document)
    return {title: svg(figure, f"picture{number}") for number, (title, figure) in enumerate(drawn.items())}


def _of_labels(document: Mapping[str, Any]) -> dict[str, Any]:
    figures = document["figures"]
    systems = [("as served", figures["served"], SERVED)]
    if "baseline" in figures:
        systems.append((figures["baseline"]["name"], figures["baseline"], OTHER))
    return {
        "Is a probability to be believed?": _reliability(systems),
        "How right it is where it is surest": _risk_coverage(systems, figures.get("signal")),
        "Where articles of a label go": _confusion(figures["served"]["confusion"], document["labels"]),
        "By group: accuracy": _by_group(figures["groups"], "accuracy", "baseline_accuracy", "TF-IDF", 100),
    }


def _of_texts(document: Mapping[str, Any]) -> dict[str, Any]:
    figures = document["figures"]
    return {
        "ROUGE beside the article's first words": _rouge(figures),
        "By group: ROUGE-1": _by_group(figures["groups"], "rouge1", "lead_rouge1", "the article's first words", 1),
        "By group: summaries with a foreign sentence": _by_group(figures["groups"], "foreign", "", "", 100),
    }


_PICTURES: Final = {AnswerKind.LABELS: _of_labels, AnswerKind.TEXT: _of_texts}


def _reliability(systems: Sequence[tuple[str, Any, str]]) -> Any:
    figure, axes = axes_of(5, 4)
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle=":", label="perfect")
    for name, system, colour in systems:
        bins = [one for one in system["reliability"] if one["articles"]]
        x, y = ([100 * one[part] for one in bins] for part in ("confidence", "accuracy"))
        sizes = [12 + 200 * one["articles"] / system["rows"] for one in bins]
        axes.plot(x, y, color=colour, label=name)
        axes.scatter(x, y, s=sizes, color=colour, clip_on=False, zorder=3)
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability that is given, %", ylabel="right, %")
    legend(axes)
    return figure


def _risk_coverage(systems: Sequence[tuple[str, Any, str]], signal: Mapping[str, Any] | None) -> Any:
    figure, axes = axes_of(5, 4)
    for name, system, colour in systems:
        curve = 100 * np.asarray(system["risk_coverage"]["curve"])
        axes.plot(curve[:, 0], curve[:, 1], color=colour, label=name)
    if signal:
        at, right = (100 * signal["figures"][name]["value"] for name in ("coverage", "accuracy"))
        axes.scatter([at], [right], s=70, marker="D", color=THIRD, label="its signal", zorder=3)
    axes.set(xlim=(0, 102), xlabel="articles that it is surest of, %", ylabel="right among them, %")
    axes.set_ylim(top=101)
    legend(axes)
    return figure


def _confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    table = np.asarray(counts, dtype=float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 1.9 + 0.42 * len(labels)
    figure, axes = axes_of(size + 0.8, size)
    axes.spines[:].set_visible(False)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            box = (column - 0.48, row - 0.48)
            axes.add_patch(_square(box, SERVED if row == column else OTHER, 0.1 + 0.6 * share))
            text = f"{share:.0%}\n{int(table[row, column]):,}"
            axes.text(column, row, text, ha="center", va="center", color=INK, fontsize=7)
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5))
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="the model says", ylabel="the label is (share of the row, number of articles)")
    return figure


def _square(corner: tuple[float, float], colour: str, strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=strength, edgecolor="none")


def _rouge(figures: Mapping[str, Any]) -> Any:
    figure, axes = axes_of(6, 4)
    places = np.arange(len(METRICS))
    systems = (("served", "as served", SERVED), ("lead", "first words", OTHER), ("oracle", "oracle", THIRD))
    for shift, (name, label, colour) in zip((-0.27, 0, 0.27), systems, strict=True):
        found = [figures[name]["figures"][metric] for metric in METRICS]
        values = [one["value"] for one in found]
        axes.bar(places + shift, values, 0.25, color=colour, label=label, yerr=_errors(found), ecolor=INK)
    axes.set_xticks(places, ["ROUGE-1", "ROUGE-2", "ROUGE-Lsum"])
    axes.set(ylabel="F-measure, 0 to 100")
    legend(axes)
    return figure


def _errors(found: Sequence[Mapping[str, float]], scale: float = 1) -> list[list[float]]:
    below = [max(0.0, scale * (one["value"] - one["low"])) for one in found]
    return [below, [max(0.0, scale * (one["high"] - one["value"])) for one in found]]


def _by_group(groups: Sequence[Mapping[str, Any]], name: str, other: str, words: str, scale: float) -> Any:
    """A figure of the groups by source, length and reading, with its interval; of sources the largest."""
    sources = sorted((one for one in groups if one["by"] == "source"), key=lambda one: -one["rows"])[:_MOST_GROUPS]
    chosen = [*sources, *(one for one in groups if one["by"] in ("length", "read"))][::-1]
    figure, axes = axes_of(7, 1 + 0.33 * max(len(chosen), 1))
    places = np.arange(len(chosen))
    for shift, key, colour, label in ((0.12, name, SERVED, "as served"), (-0.12, other, OTHER, words)):
        found = [one["figures"].get(key) for one in chosen]
        if found and all(found):
            values = [scale * one["value"] for one in found]
            errors = _errors(found, scale)
            axes.errorbar(values, places + shift, xerr=errors, fmt="o", color=colour, label=label, markersize=5)
    axes.set_yticks(places, [f"{one['name']} ({one['rows']:,})" for one in chosen])
    axes.set_ylim(-0.6, len(chosen) - 0.4)
    axes.grid(axis="x", color=FAINT, alpha=0.4)
    axes.set_xlabel("% of the rows" if scale > 1 else "0 to 100")
    if other and chosen:
        legend(axes)
    return figure
