"""The picture of a soak: throughput, latency, CPU time and memory over the time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt

from benchmarks.common.charts import BAD, GOOD, INK, PALE, SECOND, save, style, where
from benchmarks.common.machine import Machine

from .asking import Result
from .verdict import SHARED, growth_by_process
from .windows import Soak, Window

_COLOURS: Final = "tab20"
"""The colours of the processes: twenty of them."""
_ROOM: Final = 1.1
"""An axis goes so far beyond its highest value."""
_NAMED: Final = 6
"""Processes whose growth has a colour of its own; the others are pale."""


def draw_soak(soak: Soak, machine: Machine, title: str, path: Path) -> None:
    """Five panels over the minutes; without a look at the server's processes the first two.

    Args:
        soak: At least one window.
        machine: Where it was measured.
        title: The finding, in a line.
        path: The file.
    """
    seen = [one for one in soak.windows if one.server is not None]
    heights = (2.2, 2.0, 1.5, 2.6, 2.2) if seen else (2.2, 2.0)
    figure, panels = plt.subplots(
        len(heights), 1, figsize=(9.5, 1.25 * sum(heights)), sharex=True, layout="constrained", height_ratios=heights
    )
    minutes = [one.end_s / 60 for one in soak.windows]
    for axes in panels:
        style(axes)
        axes.axvspan(0, soak.config.warm_s / 60, color=PALE, alpha=0.35)
        for part, colour in zip(soak.first_and_last or (), (SECOND, GOOD), strict=False):
            axes.axvspan(part.windows[0].begin_s / 60, part.windows[-1].end_s / 60, color=colour, alpha=0.09)
        axes.set_xlim(0, minutes[-1])
    _throughput(panels[0], soak, minutes)
    panels[1].plot(minutes, [one.p99_ms for one in soak.windows], color=SECOND, linewidth=1.5, label="99 of 100")
    panels[1].plot(minutes, [one.p50_ms for one in soak.windows], color=GOOD, linewidth=1.5, label="half")
    panels[1].set_ylim(0, _ROOM * max([1.0, *(one.p99_ms for one in soak.windows)]))
    panels[1].set_ylabel("milliseconds\nto the answer")
    panels[1].legend(loc="lower right", frameon=False, fontsize=9, ncols=2)
    if seen:
        _cpu(panels[2], seen)
        _memory(panels[3], seen)
        _growth(panels[4], soak, seen)
    panels[-1].set_xlabel("minutes under load (grey: warm-up; orange and green: the two stretches that are compared)")
    panels[0].set_title(f"{title}\n{where(machine)}", loc="left", fontsize=11.5, color=INK)
    save(figure, path, dpi=110)


def _throughput(axes: Any, soak: Soak, minutes: Sequence[float]) -> None:
    axes.plot(minutes, [one.articles_per_s for one in soak.windows], color=GOOD, linewidth=1.6)
    axes.set_ylim(0, _ROOM * max([1.0, *(one.articles_per_s for one in soak.windows)]))
    axes.set_ylabel("articles a second")
    if soak.first_and_last is not None:
        bound = soak.config.least_throughput * soak.first_and_last[0].articles_per_s
        axes.axhline(bound, color=BAD, linewidth=1.1, linestyle=(0, (5, 3)))
        axes.annotate(
            "the bound for the last stretch", (0.01, bound), xycoords=("axes fraction", "data"), xytext=(0, -11),
            textcoords="offset points", color=BAD, fontsize=9,
        )  # fmt: skip
    trouble = [
        (minute, one.articles_per_s)
        for minute, one in zip(minutes, soak.windows, strict=True)
        if one.lost or one.results.get(Result.WRONG)
    ]
    if trouble:
        axes.scatter(*zip(*trouble, strict=True), marker="X", color=BAD, zorder=4, label="answers lost or wrong")
        axes.legend(loc="lower right", frameon=False, fontsize=9)


def _cpu(axes: Any, seen: Sequence[Window]) -> None:
    known = [one for one in seen if one.cpu_s is not None and one.articles]
    minutes = [one.end_s / 60 for one in known]
    values = [1e3 * (one.cpu_s or 0.0) / one.articles for one in known]
    axes.plot(minutes, values, color=INK, linewidth=1.5)
    axes.set_ylim(0, _ROOM * max([1.0, *values]))
    axes.set_ylabel("server's CPU,\nms an article")


def _memory(axes: Any, seen: Sequence[Window]) -> None:
    """What each process holds, one upon the other."""
    lines, colours = _lines(seen), _colours(seen)
    minutes = [one.end_s / 60 for one in seen]
    layers = [[value / 1e6 for value in lines[name]] for name in colours]
    axes.stackplot(minutes, layers, colors=list(colours.values()), labels=list(colours))
    axes.set_ylabel("memory of their own,\nMB")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, reverse=True)


def _growth(axes: Any, soak: Soak, seen: Sequence[Window]) -> None:
    """How much more or less each process holds than in the first stretch."""
    lines, compared = _lines(seen), growth_by_process(soak)
    base = {name: compared[name][0] if name in compared else values[0] for name, values in lines.items()}
    measured = [number for number, one in enumerate(seen) if not one.warm_up] or list(range(len(seen)))
    change = {name: [(lines[name][number] - base[name]) / 1e6 for number in measured] for name in lines}
    minutes = [seen[number].end_s / 60 for number in measured]
    ranked = sorted(change, key=lambda name: -abs(change[name][-1]))
    shown = {*ranked[:_NAMED], SHARED}
    colours = _colours(seen)
    for name in reversed(ranked):
        how = {"color": PALE, "linewidth": 1.0}
        if name in shown:
            how = {"color": colours[name], "linewidth": 1.6, "label": f"{name} {change[name][-1]:+.1f}"}
        axes.plot(minutes, change[name], **how)
    axes.set_ylabel("change since the\nfirst stretch, MB")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, reverse=True)


def _colours(seen: Sequence[Window]) -> dict[str, Any]:
    """A colour for each line of `_lines`, those that hold most first."""
    lines, colours = _lines(seen), plt.get_cmap(_COLOURS)
    names = sorted(lines, key=lambda name: -lines[name][-1])
    return {name: colours(number % colours.N) for number, name in enumerate(names)}


def _lines(seen: Sequence[Window]) -> dict[str, list[float]]:
    """Bytes of every process, and of the shared memory, in each window."""
    looks = [one.server for one in seen if one.server is not None]
    names = dict.fromkeys(process.name for look in looks for process in look.processes)
    lines = {name: [look.total(name, "anonymous_bytes") for look in looks] for name in names}
    return {**lines, SHARED: [look.shared_bytes for look in looks]}
