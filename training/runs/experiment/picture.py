"""The picture of a task's runs: test figures over time, beside the baseline and the champion."""

from __future__ import annotations

import itertools
from typing import Any

from training.runs.pages.drawing import FAINT, INK, OTHER, SERVED, THIRD, axes_of, legend, svg

from .report import WORDS
from .tell import TaskTold


def picture(one: TaskTold) -> str:
    """An SVG element; empty where no run has figures."""
    return svg(_draw(one), f"runs-{one.task.value}") if one.runs else ""


def _draw(one: TaskTold) -> Any:
    from matplotlib import dates

    figure, axes = axes_of(8, 4)
    comparable = sorted(one.comparable, key=lambda run: run.started)
    times = [run.started for run in comparable]
    values = [run.figures[one.name] for run in comparable]
    best = list(itertools.accumulate(values, max))
    if len(times) > 1:
        axes.step(times, best, where="post", color=FAINT, label="the best until then")
    axes.scatter(times, values, s=36, color=SERVED, label="a run", zorder=3)
    apart = [run for run in one.runs if run not in comparable]
    if apart:
        axes.scatter(
            [run.started for run in apart], [run.figures[one.name] for run in apart], s=30, facecolor="none",
            edgecolor=FAINT, label="on other test articles", zorder=2,
        )  # fmt: skip
    told = [(run.started, run.baseline[one.name]) for run in comparable if one.name in run.baseline]
    if len({value for _, value in told}) == 1:
        axes.axhline(told[0][1], color=OTHER, linestyle="--", label="baseline")
    elif told:  # it learned from other training articles
        axes.plot(*zip(*told, strict=True), color=OTHER, linestyle="--", marker="_", label="baseline")
    for number, run in enumerate(one.runs, start=1):
        axes.annotate(
            str(number), (run.started, run.figures[one.name]), (7, 7), textcoords="offset points", color=INK, fontsize=8
        )
    champion = one.champion
    mine = [] if champion is None else [run for run in one.runs if run.version == champion.number]
    for run in mine:
        axes.scatter(
            [run.started], [run.figures[one.name]], s=190, marker="o", facecolor="none", edgecolor=THIRD,
            linewidth=2.2, label="champion", zorder=4,
        )  # fmt: skip
    fallen = [run.started for run in one.others if run.status in ("FAILED", "KILLED")]
    if fallen:
        axes.scatter(
            fallen, [0.02] * len(fallen), transform=axes.get_xaxis_transform(), marker="x", color=INK, s=26,
            label="failed or stopped",
        )  # fmt: skip
    locator: Any = dates.AutoDateLocator(minticks=2, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(INK)
    axes.margins(x=0.06, y=0.14)
    axes.set(xlabel="started (UTC)", ylabel=f"{WORDS[one.name]} on the test articles")
    legend(axes)
    return figure
