"""One picture of a whole run: how the loss fell, how the validation score rose, and the test beside the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .headline import Headline, headline

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9641e", "#8a8f98"
_SCORES: Final = {"eval_macro_f1": ("macro-F1", _ORANGE), "eval_accuracy": ("accuracy", _GREY)}
"""The validation figures that are drawn where a run has them: their words and colours."""


def overview(metrics: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Any:
    """Draw a run.

    Args:
        metrics: What ``metrics.json`` holds.
        history: The trainer's log, as ``history.json`` holds it.

    Returns:
        A ``matplotlib.figure.Figure``: the loss, the validation scores where there are any, the test figures.
    """
    from matplotlib.figure import Figure

    told = headline(metrics)
    scored = [name for name in _SCORES if _points(history, name)]
    panels = 2 + bool(scored)
    figure = Figure(figsize=(4.6 * panels, 3.9), layout="constrained")
    axes = list(figure.subplots(1, panels))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    _loss(axes[0], history)
    if scored:
        _scores(axes[1], history, scored)
    _test(axes[-1], told)
    figure.suptitle(_title(metrics, told), fontsize=11)
    return figure


def _title(metrics: Mapping[str, Any], told: Headline) -> str:
    base = metrics["base"]
    kind = "a small model from scratch" if base == "starter" else str(base)
    return f"{metrics['task']}: {kind}, {metrics['steps']} steps, {told.articles} test articles"


def _points(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(entry["step"], entry[name]) for entry in history if name in entry]


def _legend_below(axes: Any) -> None:
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _loss(axes: Any, history: Sequence[Mapping[str, Any]]) -> None:
    for name, colour, label in (("loss", _GREY, "training"), ("eval_loss", _BLUE, "validation")):
        if points := _points(history, name):
            axes.plot(*zip(*points, strict=True), color=colour, marker="o" if len(points) < 30 else "", label=label)
    axes.margins(y=0.1)
    axes.set(xlabel="optimizer step", title="loss")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    _legend_below(axes)


def _scores(axes: Any, history: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    for name in names:
        label, colour = _SCORES[name]
        axes.plot(*zip(*_points(history, name), strict=True), color=colour, marker="o", label=label)
    axes.set(xlabel="optimizer step", title="validation", ylim=(0, 1.04))
    axes.set_xlim(left=0)
    _legend_below(axes)


def _test(axes: Any, told: Headline) -> None:
    for shift, name, colour in ((-0.2, "model", _BLUE), (0.2, "baseline", _GREY)):
        places = [number + shift for number in range(len(told.figures))]
        values = [getattr(figure, name) for figure in told.figures]
        axes.bar(places, values, 0.38, color=colour, label="this model" if name == "model" else "baseline")
        for place, value, figure in zip(places, values, told.figures, strict=True):
            text = f"{value:.3f}" if figure.highest == 1 else f"{value:.1f}"
            axes.text(place, value, text, ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(told.figures)), [figure.label for figure in told.figures])
    tallest = max((max(figure.model, figure.baseline) for figure in told.figures), default=1.0)
    # Figures from 0 to 1 keep their whole scale.
    highest = max((figure.highest for figure in told.figures), default=1.0)
    axes.set(title="test", xlabel=f"baseline: {told.baseline}", ylim=(0, 1.08 if highest == 1 else tallest * 1.1 + 1))
    if highest == 1:
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.xaxis.label.set(fontsize=8, color="#555")
    _legend_below(axes)
