"""The picture of a day: load, replicas, what waits, what is refused, and the p99."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.charts import BAD, GOOD, INK, PALE, SECOND, save, style

from .comparison import Comparison
from .day import clock
from .fleet import Lived
from .replica import BOUND_MS

COLOURS: Final = (BAD, "#6f8fa3", "#a9743c", SECOND, GOOD)
"""Colours of the ways, in the order of `Comparison.ways`."""
_BEFORE_S, _AFTER_S = 120, 480


def draw_day(found: Comparison, path: Path) -> None:
    """The whole day on the left, by the minute; on the right what is around the busiest moment, by the second."""
    rates = found.day.rates_per_s
    rises = int(np.argmax(np.round(np.diff(rates, append=rates[-1]), 6)))
    spans = ((0, len(rates), 60), (max(0, rises - _BEFORE_S), min(len(rates), rises + _AFTER_S), 1))
    titles = ("The day", f"The steepest rise ({clock(found.day.second_s[rises])})")
    panels = ("articles a second", "replicas", "run or wait,\neach replica", "refused, %", "p99, ms")
    figure, grid = plt.subplots(
        5, 2, figsize=(12, 11), layout="constrained", sharex="col", height_ratios=(1, 1.5, 1, 1, 1)
    )
    for column, (begin, end, step) in enumerate(spans):
        hours = (found.day.second_s[begin:end:step] - (0 if step > 1 else found.day.second_s[rises])) / (
            3600 if step > 1 else 60
        )
        for axes, label in zip(grid[:, column], panels, strict=True):
            style(axes)
            axes.set_ylabel(label if column == 0 else "", fontsize=9)
        grid[0][column].fill_between(hours, rates[begin:end:step], color=PALE)
        grid[0][column].plot(hours, rates[begin:end:step], color=INK, linewidth=1.2)
        for row, colour in zip(found.ways, COLOURS, strict=True):
            day = row.days[0]
            words = {"color": colour, "linewidth": 1.4, "label": row.name.strip("*")}
            grid[1][column].step(hours, _per(day.replicas, begin, end, step), where="post", **words)
            grid[2][column].plot(hours, _per(day.under_way, begin, end, step), **words)
            grid[3][column].plot(hours, 100 * _refused(day, begin, end, step), **words)
            grid[4][column].plot(hours, np.minimum(_per(day.p99_ms, begin, end, step), 1500), **words)
        grid[2][column].axhline(found.numbers.threshold, color=INK, linewidth=0.8, linestyle=":")
        grid[4][column].axhline(BOUND_MS, color=BAD, linewidth=0.8, linestyle=":")
        grid[0][column].set_title(titles[column], fontsize=10.5, color=INK)
        grid[4][column].set_xlabel("time of day, hours" if step > 1 else "minutes from the rise")
    grid[1][0].legend(loc="upper left", facecolor="white", edgecolor="none", framealpha=1, fontsize=8.5)
    figure.suptitle(
        "A simulated day: the ScaledObject beside fixed numbers and the CPU's use\n"
        f"replicas of {found.replica.highest_per_s:.0f} articles a second, serving {found.cold_start_s} s after they "
        "are ordered; dotted: the threshold, and the bound",
        x=0.01, ha="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path, dpi=90)


def _per(values: NDArray[Any], begin: int, end: int, step: int) -> NDArray[Any]:
    """The highest of each step, so that nothing short is missing in the picture."""
    return np.array([values[at : min(at + step, end)].max() for at in range(begin, end, step)])


def _refused(day: Lived, begin: int, end: int, step: int) -> NDArray[Any]:
    return _per(day.refused, begin, end, step)
