"""The picture of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.common.charts import GOOD, INK, PALE, save, style, where
from benchmarks.common.machine import Machine

from .comparing import LOOP, SLOTS, Compared, Group
from .turns import Spread

_COLOURS = {LOOP: PALE, SLOTS: GOOD}


def draw(compared: Sequence[Compared], machine: Machine, path: Path) -> Path:
    """Latency of an article that is alone, and articles a second under load: bars side by side, with the spread."""
    alone = [one for one in compared if one.case.group is Group.ALONE]
    busy = [one for one in compared if one.case.group is not Group.ALONE]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11.5, 4.6), layout="constrained", width_ratios=[max(1, len(alone)), max(1, len(busy))]
    )
    latencies = {side: [one.figures(side).p50_ms for one in alone] for side in (LOOP, SLOTS)}
    _bars(left, [one.case.name for one in alone], latencies, [one.times_p50 for one in alone])
    left.set_ylabel("milliseconds (p50)")
    left.set_title("An article alone: lower is better", fontsize=10.5, color=INK)
    rates = {side: [one.figures(side).per_s for one in busy] for side in (LOOP, SLOTS)}
    names = [f"{one.case.name},\n{one.case.in_flight} in flight" for one in busy]
    _bars(right, names, rates, [one.times_as_many for one in busy])
    right.set_ylabel("articles a second")
    right.set_title("Several in flight: higher is better", fontsize=10.5, color=INK)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"The engine with slots beside the one graph, {where(machine)}", fontsize=12, color=INK)
    return save(figure, path)


def _bars(axes: Any, names: Sequence[str], sides: dict[str, list[Spread]], ratios: Sequence[Spread]) -> None:
    style(axes)
    axes.grid(visible=False, axis="x")
    places = np.arange(len(names))
    for shift, (side, spreads) in zip((-0.2, 0.2), sides.items(), strict=True):
        heights = [spread.median for spread in spreads]
        below = [spread.median - spread.least for spread in spreads]
        above = [spread.most - spread.median for spread in spreads]
        axes.bar(
            places + shift, heights, width=0.38, color=_COLOURS[side], label=side, yerr=[below, above],
            error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 2},
        )  # fmt: skip
    tops = [max(spread.most for spread in pair) for pair in zip(*sides.values(), strict=True)]
    for place, top, ratio in zip(places, tops, ratios, strict=True):
        words = f"{ratio.median:.2f} times"
        axes.annotate(
            words, (place, top), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=9, color=INK
        )
    axes.set_xticks(places, names, fontsize=8.5)
    axes.set_ylim(0, 1.15 * max(tops, default=1.0))
