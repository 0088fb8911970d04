"""Pictures of a capacity measurement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from benchmarks.common.charts import BAD, GOOD, INK, PALE, SECOND, save, style, where
from infolens.contract import INFO_LENS

from .data import TYPICAL_WORDS, Measured
from .plan import BOUND_MS, DRAWN, Plan
from .service_times import FRONT, Chains, Sample

AROUND: Final = "everything around"
_COLOURS: Final = (GOOD, "#7fb8a4", SECOND, "#a9743c", "#6f8fa3")
"""Colours of the tasks; `AROUND` has `INK`."""


def group_ms(sample: Sample, chains: Chains) -> dict[str, float]:
    """CPU time by what a reader knows of the stages: the tasks, and `AROUND`."""
    groups = {**chains, AROUND: (INFO_LENS, FRONT)}
    return {group: sum(sample.cpu_ms[stage] for stage in stages) for group, stages in groups.items()}


def draw_cost(measured: Measured, path: Path) -> None:
    """CPU time of an article by its length, the beams and the summary's length."""
    panels: tuple[tuple[str, str, dict[str, Sample]], ...] = (
        ("words of the article", "Longer articles", {str(one.words): one for one in measured.times.full}),
        ("beams of the search", "A wider search", {str(n): one for n, one in measured.by_beams.items()}),
        ("tokens of the summary", "Longer summaries", {str(n): one for n, one in measured.by_summary_tokens.items()}),
    )
    chains = measured.times.chains
    colours = {**dict(zip(chains, itertools.cycle(_COLOURS), strict=False)), AROUND: INK}
    highest_ms = max(one.server_ms for _, _, samples in panels for one in samples.values())
    figure, all_axes = plt.subplots(
        1, 3, figsize=(11.5, 5.2), layout="constrained", sharey=True, width_ratios=[len(p[2]) for p in panels]
    )
    for axes, (label, title, samples) in zip(all_axes, panels, strict=True):
        style(axes)
        axes.grid(visible=False, axis="x")
        for place, sample in enumerate(samples.values()):
            bottom = 0.0
            for group, value in group_ms(sample, chains).items():
                axes.bar(place, value, bottom=bottom, width=0.66, color=colours[group])
                bottom += value
            axes.annotate(
                f"{bottom:.0f} ms\n{sample.answered_per_s:.0f}/s", (place, bottom), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=9, color=INK,
            )  # fmt: skip
        axes.set_xticks(range(len(samples)), list(samples))
        axes.set_xlabel(label)
        axes.set_title(title, fontsize=10.5, color=INK)
        axes.set_ylim(0, highest_ms * 1.3)
    all_axes[0].set_ylabel("CPU time of one article, in milliseconds of one core")
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    all_axes[0].legend(handles, list(colours), loc="upper left", frameon=False, fontsize=9)
    figure.suptitle(
        "What an article costs. Above each bar: its CPU time, and how many of them a full server answers each second\n"
        f"{where(measured.machine)}; beams and summaries: articles of {TYPICAL_WORDS} words",
        x=0.01, ha="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)


def draw_cores(measured: Measured, plan: Plan, path: Path) -> None:
    """Throughput against cores: measured where there are cores, simulated beyond."""
    figure, axes = plt.subplots(figsize=(9.5, 5.4), layout="constrained")
    style(axes)
    kinds = (
        (True, GOOD, f"more instances of all models,\n99 of 100 within {BOUND_MS:.0f} ms"),
        (False, SECOND, f"more instances of the summary's model only,\n99 of 100 within {BOUND_MS:.0f} ms"),
    )
    for everything, colour, words in kinds:
        shown = [one for one in plan.grown if one.everything is everything]
        cores, rates = [one.cores for one in shown], [one.highest_per_s for one in shown]
        axes.plot(cores, rates, color=colour, linewidth=2.2, marker="o", markersize=4, label=f"simulated: {words}")
        axes.annotate(
            f"{rates[-1]:.0f}/s", (cores[-1], rates[-1]), xytext=(7, 0), textcoords="offset points", va="center",
            color=colour, fontsize=10,
        )  # fmt: skip
    cores = [one.cores for one in plan.grown]
    one_core = next(one.full_per_s for one in plan.grown if one.everything)
    axes.plot(
        cores, [one_core * n for n in cores], color=PALE, linewidth=1.4, linestyle=(0, (5, 3)), zorder=1,
        label=f"in proportion: {one_core:.0f}/s for every core",
    )  # fmt: skip
    for number, sample in measured.by_cores.items():
        axes.plot(
            [number], [sample.answered_per_s], marker="D", markersize=8, linestyle="none", color=BAD, zorder=5,
            label="measured: full server" if number == measured.cores else None,
        )  # fmt: skip
        axes.annotate(
            f"{sample.answered_per_s:.0f}/s", (number, sample.answered_per_s), xytext=(-9, 4),
            textcoords="offset points", ha="right", color=BAD, fontsize=10,
        )  # fmt: skip
    for one in plan.grown:
        if one.everything and measured.cores < one.cores < cores[-1]:
            axes.annotate(
                f"{one.highest_per_s:.0f}", (one.cores, one.highest_per_s), xytext=(-4, 7),
                textcoords="offset points", ha="right", color=GOOD, fontsize=9,
            )  # fmt: skip
    ticks = sorted(set(cores))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([10, 20, 50, 100, 200, 500, 1000], ["10", "20", "50", "100", "200", "500", "1000"])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.7, ticks[-1] * 1.3)
    axes.set_xlabel("cores of the server (each mark doubles)")
    axes.set_ylabel("articles a second")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.set_title(
        f"More cores, more articles: measured up to {measured.cores}, simulated beyond\n"
        f"cores as those of {measured.machine.cpu}; memory bandwidth and caches are not in the simulation",
        loc="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)


def draw_check(measured: Measured, plan: Plan, path: Path) -> None:
    """Simulated lines and measured dots, a panel for each number of cores."""
    figure, found = plt.subplots(
        1, len(plan.lines), figsize=(11.5, 5.2), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (cores, line) in zip(found[0], plan.lines.items(), strict=True):
        style(axes)
        for values, colour, words in ((line.p50_ms, "#7fb8a4", "half"), (line.p99_ms, "#0f5a41", "99 of 100")):
            axes.plot(line.rates_per_s, values, color=colour, linewidth=2.2)
            axes.annotate(
                f"{words}\nwithin", (line.rates_per_s[-1], values[-1]), xytext=(6, 0), textcoords="offset points",
                va="center", color=colour, fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        _dots(axes, [one for one in plan.checked if one.check.cores == cores])
        axes.axhline(BOUND_MS, color=BAD, linewidth=1.0, linestyle=(0, (5, 3)))
        axes.annotate(
            f"the page's bound: {BOUND_MS:.0f} ms", (0, BOUND_MS), xycoords=("axes fraction", "data"), xytext=(4, 4),
            textcoords="offset points", color=BAD, fontsize=9,
        )  # fmt: skip
        axes.set_yscale("log")
        axes.set_yticks(
            [20, 50, 100, 200, 500, 1000, 2000], ["20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s", "2 s"]
        )
        axes.set_yticks([], minor=True)
        axes.set_ylim(20, 2500)
        axes.set_xlim(0, line.rates_per_s[-1] * 1.18)
        axes.set_xlabel("articles that arrive each second")
        told = "1 core, load generator on another" if cores < measured.cores else f"{cores} cores, shared with the load"
        axes.set_title(told, fontsize=10.5, color=INK)
    found[0][0].set_ylabel("time from arrival to answer")
    handles = [
        Line2D([], [], color=INK, linewidth=2.2, label=f"simulated, {DRAWN} articles a rate"),
        Line2D([], [], color=INK, marker="o", linestyle="none", label=f"measured, {measured.seconds:g} s a rate"),
        Line2D([], [], color=INK, marker="_", linestyle="none", markersize=12, markeredgewidth=2,
                   label="simulated, the same requests as measured"),
    ]  # fmt: skip
    found[0][0].legend(handles=handles, loc="upper left", frameon=False, fontsize=9, bbox_to_anchor=(0, 1.0))
    figure.suptitle(
        f"Does the simulation say what is measured?\n{where(measured.machine)}",
        x=0.01, ha="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)


def _dots(axes: Any, checked: Sequence[Any]) -> None:
    for one in checked:
        for seen, simulated, colour in (
            (one.check.p50_ms, one.p50_ms, "#7fb8a4"),
            (one.check.p99_ms, one.p99_ms, "#0f5a41"),
        ):
            rate = one.check.rate_per_s
            axes.plot([rate, rate], [seen, simulated], color=colour, linewidth=1.0)
            axes.plot([rate], [simulated], marker="_", markersize=12, markeredgewidth=2, color=colour, zorder=5)
            axes.plot([rate], [seen], marker="o", markersize=7, color=colour, markeredgecolor="white", zorder=6)
