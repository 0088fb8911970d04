"""Pictures of a run, from the files in its folder: loss, confusion, calibration, ROUGE by length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from infolens.contract import CONTRACTS, AnswerKind, Task

PLOTS: Final = "plots"
_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9641e", "#8a8f98"


def draw(folder: Path) -> list[Path]:
    """Draw the pictures of a checkpoint folder into its ``plots/``; returns their paths."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    plots = folder / PLOTS
    plots.mkdir(exist_ok=True)
    pictures = {"loss": _loss(history), **_PICTURES[CONTRACTS[Task(metrics["task"])].answers](metrics)}
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
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=label)
    score = [(entry["step"], entry["eval_macro_f1"]) for entry in history if "eval_macro_f1" in entry]
    axes.set(xlabel="optimizer step", ylabel="loss", title="Loss")
    axes.set_ylim(bottom=0)
    if score:
        right = axes.twinx()
        right.plot(*zip(*score, strict=True), color=_ORANGE, marker="s", label="validation macro-F1 (right)")
        right.set(ylim=(0, 1), ylabel="macro-F1")
        right.spines["top"].set_visible(False)
    lines = [line for part in figure.axes for line in part.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], frameon=False, loc="lower left")
    return figure


def _confusion(counts: Any, labels: tuple[str, ...]) -> Any:
    size = 3.2 + 0.55 * len(labels)
    figure, axes = _figure(size + 1, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else "black"
        text = f"{share:.0%}\n{counts[row, column]}" if len(labels) < 5 else f"{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set(xlabel="the model says", ylabel="the label is", title="Test split: where articles of a label go")
    return figure


def _calibration(test: dict[str, Any]) -> Any:
    figure, axes = _figure(5, 5)
    bins = [entry for entry in test["reliability"] if entry["articles"]]
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="perfect")
    sizes = [20 + 300 * entry["articles"] / test["articles"] for entry in bins]
    confidence, accuracy = ([entry[name] for entry in bins] for name in ("confidence", "accuracy"))
    axes.plot(confidence, accuracy, color=_BLUE)
    axes.scatter(confidence, accuracy, s=sizes, color=_BLUE, label="test articles (area: how many)")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability that the model gives", ylabel="share that is right")
    axes.set_title(f"Calibration: expected error {test['calibration_error']:.3f}")
    axes.legend(frameon=False, loc="upper left")
    return figure


def _rouge_by_length(metrics: dict[str, Any]) -> Any:
    figure, axes = _figure(7, 4)
    groups = metrics["by_length"]
    places = np.arange(len(groups))
    for shift, name, colour in ((-0.2, "test", _BLUE), (0.2, "lead_1", _GREY)):
        label = "the model" if name == "test" else "the article's first sentence"
        axes.bar(places + shift, [group[name]["rouge1"] for group in groups], 0.38, color=colour, label=label)
    axes.set_xticks(places, [f"{group['words']}\n({group['rows']} articles)" for group in groups])
    axes.set(xlabel="words of the article", ylabel="ROUGE-1 F (0 to 100)", title="Summaries by the article's length")
    axes.legend(frameon=False)
    return figure
