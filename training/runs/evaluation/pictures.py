"""The pictures of an evaluation: SVG whose colours are variables of the page, so that they follow light and dark."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.metrics.summarization import METRICS

_INK, _FAINT, _SERVED, _OTHER, _THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES: Final = {_INK: "--ink", _FAINT: "--faint", _SERVED: "--served", _OTHER: "--other", _THIRD: "--third"}
"""Colours that are drawn, and the variables of the page that stand for them there."""
_MOST_GROUPS: Final = 14


def pictures_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The pictures of a document: their titles, and SVG elements."""
    drawn = _PICTURES[CONTRACTS[Task(document["task"])].answers](document)
    return {title: _svg(figure, f"picture{number}") for number, (title, figure) in enumerate(drawn.items())}


def _svg(figure: Any, name: str) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text


def _axes(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _legend(axes: Any, **where: Any) -> None:
    axes.legend(frameon=False, labelcolor=_INK, fontsize=9, **where)


def _of_labels(document: Mapping[str, Any]) -> dict[str, Any]:
    figures = document["figures"]
    systems = [("as served", figures["served"], _SERVED)]
    if "baseline" in figures:
        systems.append((figures["baseline"]["name"], figures["baseline"], _OTHER))
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
    figure, axes = _axes(5, 4)
    axes.plot([0, 100], [0, 100], color=_FAINT, linestyle=":")
    for name, system, colour in systems:
        bins = [one for one in system["reliability"] if one["articles"]]
        x, y = ([100 * one[part] for one in bins] for part in ("confidence", "accuracy"))
        sizes = [12 + 200 * one["articles"] / system["rows"] for one in bins]
        axes.plot(x, y, color=colour, label=name)
        axes.scatter(x, y, s=sizes, color=colour)
    axes.set(xlim=(0, 103), ylim=(0, 103), xlabel="probability that is given, %", ylabel="right, %")
    _legend(axes, loc="upper left")
    return figure


def _risk_coverage(systems: Sequence[tuple[str, Any, str]], signal: Mapping[str, Any] | None) -> Any:
    figure, axes = _axes(5, 4)
    for name, system, colour in systems:
        curve = 100 * np.asarray(system["risk_coverage"]["curve"])
        axes.plot(curve[:, 0], curve[:, 1], color=colour, label=name)
    if signal:
        at, right = (100 * signal["figures"][name]["value"] for name in ("coverage", "accuracy"))
        axes.scatter([at], [right], s=70, marker="D", color=_THIRD, label="its signal", zorder=3)
    axes.set(xlim=(0, 102), xlabel="articles that it is surest of, %", ylabel="right among them, %")
    axes.set_ylim(top=101)
    _legend(axes, loc="lower left")
    return figure


def _confusion(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    table = np.asarray(counts, dtype=float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 1.9 + 0.42 * len(labels)
    figure, axes = _axes(size + 0.8, size)
    axes.spines[:].set_visible(False)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            box = (column - 0.48, row - 0.48)
            axes.add_patch(_square(box, _SERVED if row == column else _OTHER, 0.1 + 0.6 * share))
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=_INK, fontsize=8)
    axes.set(xlim=(-0.5, len(labels) - 0.5), ylim=(len(labels) - 0.5, -0.5))
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="the model says", ylabel="the label is")
    return figure


def _square(corner: tuple[float, float], colour: str, strength: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 0.96, 0.96, facecolor=colour, alpha=strength, edgecolor="none")


def _rouge(figures: Mapping[str, Any]) -> Any:
    figure, axes = _axes(6, 4)
    places = np.arange(len(METRICS))
    systems = (("served", "as served", _SERVED), ("lead", "first words", _OTHER), ("oracle", "oracle", _THIRD))
    for shift, (name, label, colour) in zip((-0.27, 0, 0.27), systems, strict=True):
        found = [figures[name]["figures"][metric] for metric in METRICS]
        values = [one["value"] for one in found]
        axes.bar(places + shift, values, 0.25, color=colour, label=label, yerr=_errors(found), ecolor=_INK)
    axes.set_xticks(places, ["ROUGE-1", "ROUGE-2", "ROUGE-Lsum"])
    axes.set(ylabel="F-measure, 0 to 100")
    _legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _errors(found: Sequence[Mapping[str, float]], scale: float = 1) -> list[list[float]]:
    below = [max(0.0, scale * (one["value"] - one["low"])) for one in found]
    return [below, [max(0.0, scale * (one["high"] - one["value"])) for one in found]]


def _by_group(groups: Sequence[Mapping[str, Any]], name: str, other: str, words: str, scale: float) -> Any:
    """A figure of the groups by source, length and reading, with its interval; of sources the largest."""
    sources = sorted((one for one in groups if one["by"] == "source"), key=lambda one: -one["rows"])[:_MOST_GROUPS]
    chosen = [*sources, *(one for one in groups if one["by"] in ("length", "read"))][::-1]
    figure, axes = _axes(7, 1 + 0.33 * max(len(chosen), 1))
    places = np.arange(len(chosen))
    for shift, key, colour, label in ((0.12, name, _SERVED, "as served"), (-0.12, other, _OTHER, words)):
        found = [one["figures"].get(key) for one in chosen]
        if found and all(found):
            values = [scale * one["value"] for one in found]
            errors = _errors(found, scale)
            axes.errorbar(values, places + shift, xerr=errors, fmt="o", color=colour, label=label, markersize=5)
    axes.set_yticks(places, [f"{one['name']} ({one['rows']:,})" for one in chosen])
    axes.set_ylim(-0.6, len(chosen) - 0.4)
    axes.grid(axis="x", color=_FAINT, alpha=0.4)
    axes.set_xlabel("% of the rows" if scale > 1 else "0 to 100")
    if other and chosen:
        _legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
