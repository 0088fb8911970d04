"""Lines by the articles in one call: summaries, category and veracity."""

from __future__ import annotations

import itertools
from typing import Any, Final

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.common.charts import BAD, GOOD, INK, SECOND, style

from .drawing import Rows, groups, name_of, new_axes, numbered, set_title, telling

AIM_PER_S: Final = 300
"""Summaries a second that a card is to write."""
_COLOURS: Final = (GOOD, SECOND, "#6f8fa3", "#a9743c", "#7fb8a4", INK)
_PANELS: Final = 6


_LINES: Final = {
    "way": "{}", "engine": "{}", "precision": "{}", "beams": "beams: {}", "tokens_in": "{} tokens in",
    "tokens_out": "{} tokens out",
}  # fmt: skip
"""What a line of summaries can be named by, and how."""


def sweep(rows: Rows, about: str) -> Figure | None:
    """Articles a second by batch."""
    if len(rows) < 2:
        return None
    rates_per_s: list[Any] = [row["articles_per_s"] for row in rows]
    figure, axes = new_axes("Summaries a second, by the articles in one call", about, 5.4)
    columns = telling(rows, _LINES)
    for (values, group), colour in zip(groups(rows, columns).items(), itertools.cycle(_COLOURS), strict=False):
        # The best of each batch: the dictionary keeps the last.
        ordered = sorted(group, key=lambda row: (row["batch"], row["articles_per_s"]))
        line = list({row["batch"]: row for row in ordered}.values())
        batches, rates = [row["batch"] for row in line], [row["articles_per_s"] for row in line]
        name = name_of(columns, values, _LINES)
        axes.plot(batches, rates, color=colour, linewidth=2.2, marker="o", markersize=5, label=name or None)
        best = max(line, key=lambda row: row["articles_per_s"])
        axes.annotate(
            f"{best['articles_per_s']:.0f}/s", (best["batch"], best["articles_per_s"]), xytext=(0, 7),
            textcoords="offset points", ha="center", color=colour, fontsize=9.5,
        )  # fmt: skip
    axes.axhline(AIM_PER_S, color=BAD, linewidth=1.0, linestyle=(0, (5, 3)))
    axes.annotate(
        f"the aim: {AIM_PER_S}/s", (0, AIM_PER_S), xycoords=("axes fraction", "data"), xytext=(4, 4),
        textcoords="offset points", color=BAD, fontsize=9,
    )  # fmt: skip
    _batches(axes, rows)
    axes.set_ylim(0, 1.15 * max([AIM_PER_S, *rates_per_s]))
    axes.set_ylabel("articles a second")
    _legend(axes)
    return figure


def classifiers(rows: Rows, about: str) -> Figure | None:
    """Milliseconds of a call by batch, a panel for each model and length, a line for each way."""
    panels = list(groups(rows, ("model", "tokens")).items())[:_PANELS]
    if not panels:
        return None
    ways = list(dict.fromkeys(str(row.get("way", "")) for row in rows))
    colours = dict(zip(ways, itertools.cycle(_COLOURS), strict=False))
    across = 2 if len(panels) in (2, 4) else min(3, len(panels))
    down = -(-len(panels) // across)
    figure, found = plt.subplots(
        down, across, figsize=(1.5 + 3.6 * across, 1.1 + 3.6 * down), layout="constrained", squeeze=False
    )
    for axes in found.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, ((model, tokens), group) in zip(found.flat, panels, strict=False):
        style(axes)
        for way, line in groups(group, ("way",)).items():
            one = sorted(line, key=lambda row: row["batch"])
            places, times = [row["batch"] for row in one], [row["p50_ms"] for row in one]
            name = str(way[0] or "")
            axes.plot(places, times, color=colours[name], linewidth=2.0, marker="o", markersize=4, label=name or None)
        floors = {row["batch"]: row["floor_ms"] for row in numbered(group, ("floor_ms",))}
        if floors:
            axes.plot(*zip(*sorted(floors.items()), strict=True), color=BAD, linestyle=(0, (5, 3)), label="floor")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        _batches(axes, group)
        axes.set_title(f"{model or ''}" + (f", {tokens} tokens" if tokens is not None else ""), fontsize=10, color=INK)
    for axes in found[:, 0]:
        axes.set_ylabel("milliseconds of a call (p50)")
    handles = dict(zip(*reversed(found[0][0].get_legend_handles_labels()), strict=True))
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower left", ncols=5, frameon=False, fontsize=9)
    set_title(figure, "Category and veracity, by the articles in one call", about)
    return figure


def _batches(axes: Any, rows: Rows) -> None:
    """An axis of batches that double."""
    ticks = sorted({row["batch"] for row in rows})  # type: ignore[type-var]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("articles in one call")


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="best", frameon=False, fontsize=9)
