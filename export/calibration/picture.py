"""The picture of a calibration: how often answers are wrong by how many are given, and how true probabilities are."""

from __future__ import annotations

import io
from typing import Final

from .figures import ALL, Judged

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#d9641e", "#8a8f98"
_SHADES: Final = ("#7aa5d2", "#5aa88f", "#c58fc0", "#b3a14e", "#9a9fa8", "#d08c7a")
_DOTS_PER_INCH: Final = 80
_COLOURS: Final = 64


def draw(judged: Judged, *, risk: float) -> bytes:
    """A PNG with the risk-coverage curves of the collections and their reliability before and after.

    Args:
        judged: The articles, each with a band that was not fitted on it.
        risk: The share of wrong answers that was asked for.
    """
    # Imported here, so that other commands need no matplotlib.
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = judged.names()
    for index, name in enumerate(names):
        curve = judged.curve(name)
        whole = name == ALL or len(names) == 1
        colour = _BLUE if whole else _SHADES[index % len(_SHADES)]
        left.plot(curve.answered, curve.wrong, color=colour, linewidth=2.2 if whole else 1.2, label=name)
    left.axhline(risk, color=_GREY, linestyle=":", label=f"asked for: {risk:g}")
    coverage = judged.figures(names[-1])["coverage"]
    left.axvline(coverage, color=_ORANGE, linestyle="--", label=f"given a signal: {coverage:.0%}")
    left.set(xlim=(0, 1), ylim=(0, None), xlabel="share that is answered", ylabel="share of the answers that is wrong")
    left.set_title("Risk by coverage")
    left.legend(frameon=False, fontsize=8)
    right.plot([0, 1], [0, 1], color=_GREY, linestyle=":", label="perfect")
    for fitted, colour, label in ((False, _GREY, "as the model gives it"), (True, _BLUE, "calibrated")):
        sure, often = judged.reliability(fitted=fitted)
        right.plot(sure, often, color=colour, marker="o", markersize=4, label=label)
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="largest probability", ylabel="share that is right")
    right.set_title(f"Reliability, temperature {' to '.join(f'{one:g}' for one in judged.temperatures())}")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    drawn, sink = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DOTS_PER_INCH)
    # A third of the size, and without a version: the same figures give the same file.
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(sink, format="png", optimize=True)
    return sink.getvalue()
