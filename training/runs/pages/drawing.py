"""Pictures for pages: SVG whose colours are variables of the page, so that they follow light and dark."""

from __future__ import annotations

import io
from typing import Any, Final

INK, FAINT, SERVED, OTHER, THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES: Final = {INK: "--ink", FAINT: "--faint", SERVED: "--served", OTHER: "--other", THIRD: "--third"}
"""Colours that are drawn, and the variables of the page that stand for them there."""


def svg(figure: Any, name: str) -> str:
    """A figure of matplotlib as an SVG element, in the colours of the page; ``name`` tells its marks from others'."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text


def axes_of(width: float, height: float) -> tuple[Any, Any]:
    """A figure of a size in inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes


def legend(axes: Any) -> None:
    """Explain what is drawn above the axes, where it covers nothing."""
    count = len(axes.get_legend_handles_labels()[1])
    axes.legend(
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=min(max(count, 1), 3),
    )
