"""Pictures of a run, from the files in its folder: loss, confusion, calibration, ROUGE by length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from infolens.contract import CONTRACTS, AnswerKind, Task

from .overview import overview

PLOTS: Final = "plots"
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9641e", "#8a8f98"


def draw(folder: Path) -> list[Path]:
    """Draw the pictures of a checkpoint folder into its ``plots/``; returns their paths."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    plots = folder / PLOTS
    plots.mkdir(exist_ok=True)
    pictures = {
        "overview": overview(metrics, history),
        "loss": _loss(history),
        **_PICTURES[CONTRACTS[Task(metrics["task"])].answers](metrics),
    }
    paths = []
    for name, figure in pictures.items():
        paths.append(plots / f"{name}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def _of_texts(metrics: dict[str, Any]) -> dict[str, Any]:
    return {"rouge_by_length": _rouge_by_length(metrics)}


def _of_labels(metrics: dict[str, Any]) -> dict[str, Any]:
    test = metrics["test"]
    return {
        "confusion": _confusion(np.asarray(test["confusion"]), tuple(test["per_class"])),
        "calibration": _calibration(test),
    }


_PICTURES: Final = {AnswerKind.TEXT: _of_texts, AnswerKind.LABELS: _of_labels}


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _loss(history: list[dict[str, Any]]) -> Any:
    figure, axes = _figure(7, 4)
    train = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    validation = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]
    for points, colour, marker, label in ((train, _GREY, "", "training"), (validation, _BLUE, "o", "validation")):
        if points:
            shown = marker if len(points) > 1 else "o"  # one point alone makes no line
            axes.plot(*zip(*points, strict=True), color=colour, marker=shown, label=label)
    score = [(entry["step"], entry["eval_macro_f1"]) for entry in history if "eval_macro_f1" in entry]
    axes.set(xlabel="optimizer step", ylabel="loss (cross entropy)", title="Loss and validation score by step")
    axes.set_ylim(0, 1.05 * max((value for _, value in [*train, *validation]), default=1.0))
    axes.xaxis.get_major_locator().set_params(integer=True)
    if score:
        right = axes.twinx()
        right.plot(*zip(*score, strict=True), color=_ORANGE, marker="s", label="validation macro-F1 (right)")
        right.set(ylim=(0, 1), ylabel="macro-F1 (0 to 1)")
        right.spines["top"].set_visible(False)
    _legend_below(figure)
    return figure


def _legend_below(figure: Any) -> None:
    """Explain all that is drawn below the axes, where it covers nothing."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles, labels = ([one for part in side for one in part] for side in zip(*found, strict=True))
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=len(labels))


def _confusion(counts: Any, labels: tuple[str, ...]) -> Any:
    size = 3.2 + 0.6 * len(labels)
    figure, axes = _figure(size + 1, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else "black" if share else _GREY
        text = f"{share:.0%}\n{counts[row, column]}" if counts[row, column] else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9 if len(labels) < 5 else 7)
    axes.set(xlabel="the model says", ylabel="the label is")
    axes.set_title("Test split: where the articles of a label go\n(share of the row, number of articles)", fontsize=10)
    return figure


def _calibration(test: dict[str, Any]) -> Any:
    figure, axes = _figure(5, 5)
    bins = [entry for entry in test["reliability"] if entry["articles"]]
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="perfect")
    sizes = [20 + 300 * entry["articles"] / test["articles"] for entry in bins]
    confidence, accuracy = ([entry[name] for entry in bins] for name in ("confidence", "accuracy"))
    axes.plot(confidence, accuracy, color=_BLUE)
    # Certain and right is where many models have most of their articles: that dot lies on the corner.
    axes.scatter(
        confidence, accuracy, s=sizes, color=_BLUE, clip_on=False, zorder=3, label="test articles (area: how many)"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that the model gives", ylabel="share that is right")
    axes.set_title(f"Calibration: expected error {test['calibration_error']:.3f}")
    _legend_below(figure)
    return figure


def _rouge_by_length(metrics: dict[str, Any]) -> Any:
    figure, axes = _figure(7, 4)
    groups = metrics["by_length"]
    places = np.arange(len(groups))
    for shift, name, colour in ((-0.2, "test", _BLUE), (0.2, "lead_1", _GREY)):
        label = "the model" if name == "test" else "the article's first sentence"
        bars = axes.bar(places + shift, [group[name]["rouge1"] for group in groups], 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", fontsize=8)
    axes.set_xticks(places, [f"{group['words']}\n({group['rows']} articles)" for group in groups])
    axes.set(xlabel="words of the article", ylabel="ROUGE-1 F (0 to 100)")
    axes.set_title("Words that summary and reference share, by the article's length")
    _legend_below(figure)
    return figure
