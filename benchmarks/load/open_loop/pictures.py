"""Pictures of a load test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from benchmarks.common.charts import BAD, GOOD, INK, PALE, SECOND, save, style, where
from benchmarks.common.machine import Machine
from benchmarks.common.metrics import Stage
from benchmarks.common.wire import RequestOutcome

from .steps import Step

_PERCENTILES: Final = ((50.0, "half of the requests", 2.2), (90.0, "9 of 10", 1.6), (99.0, "99 of 100", 2.2))
_SHADES: Final = ("#7fb8a4", "#3f9275", "#0f5a41")


def draw_latency(steps: Sequence[Step], best_per_s: float, p99_ms: float, machine: Machine, path: Path) -> None:
    """Latency against the rate of arrivals, with the bound and the highest rate that holds it."""
    steps = sorted(steps, key=lambda step: step.run.arrivals.rate_per_s)
    rates = [step.run.arrivals.rate_per_s for step in steps]
    figure, axes = plt.subplots(figsize=(9.5, 5.4), layout="constrained")
    style(axes)
    for (percentile, words, width), colour in zip(_PERCENTILES, _SHADES, strict=True):
        values = [max(1.0, step.run.percentiles_ms()[percentile]) for step in steps]
        axes.plot(rates, values, marker="o", markersize=4.5, linewidth=width, color=colour)
        axes.annotate(
            f"{words}\nwithin {values[0]:.0f} ms at {rates[0]:.0f}/s",
            (rates[0], values[0]),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=colour,
            fontsize=9,
        )
    for step in steps:
        if step.run.lost:
            rate, share = step.run.arrivals.rate_per_s, step.run.lost / len(step.run.sent)
            axes.plot(
                [rate], [max(1.0, step.run.percentiles_ms()[99.0])], marker="X", markersize=10, color=BAD, zorder=4
            )
            axes.annotate(
                f"{100 * share:.1f} % not answered" if share >= 0.001 else f"{step.run.lost} not answered",
                (rate, max(1.0, step.run.percentiles_ms()[99.0])),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
                color=BAD,
                fontsize=8,
            )
    axes.axhline(p99_ms, color=BAD, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.annotate(
        f"the bound: {p99_ms:.0f} ms", (0, p99_ms), xycoords=("axes fraction", "data"), xytext=(6, 5),
        textcoords="offset points", color=BAD, fontsize=9,
    )  # fmt: skip
    if best_per_s:
        axes.axvspan(0, best_per_s, color=GOOD, alpha=0.06)
        axes.axvline(best_per_s, color=GOOD, linewidth=1.2)
    axes.set_yscale("log")
    ticks = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000]
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in ticks if low <= tick <= high], minor=False)
    axes.set_yticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.0f} s")
    axes.set_xlim(min(rates) - 0.32 * (max(rates) - min(rates) + 1), max(rates) * 1.06)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick >= 0])
    axes.set_xlim(min(rates) - 0.32 * (max(rates) - min(rates) + 1), max(rates) * 1.06)
    axes.set_xlabel("articles that arrive each second (open loop, at random moments)")
    axes.set_ylabel("time from arrival to answer")
    kind = steps[0].run.arrivals.kind
    title = (
        f"{kind}: up to {best_per_s:.0f} articles a second, all answered, 99 of 100 within {p99_ms:.0f} ms"
        if best_per_s
        else f"{kind}: no measured rate was answered within {p99_ms:.0f} ms"
    )
    axes.set_title(f"{title}\n{where(machine)}", loc="left", fontsize=11.5, color=INK)
    save(figure, path)


def draw_stages(step: Step, machine: Machine, path: Path) -> None:
    """Where a request's time goes at one rate: the chains of the tasks, and what each part of them takes on average."""
    stages = {stage.model: stage for stage in step.stages}
    chains = {task: served for task, served in step.served.items() if served.name in stages}
    answered = [one.latency_ms for one in step.run.sent if one.outcome is RequestOutcome.ANSWERED]
    mean_ms = sum(answered) / max(1, len(answered))
    figure, axes = plt.subplots(figsize=(9.5, 1.7 + 0.75 * len(chains)), layout="constrained")
    style(axes)
    axes.grid(visible=False, axis="y")
    axes.barh(0, mean_ms, height=0.5, color=PALE)
    axes.annotate(f"{mean_ms:.0f} ms", (mean_ms, 0), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9)
    for row, served in enumerate(chains.values(), start=1):
        left = 0.0
        for stage in (stages[name] for name in served.chain if name in stages):
            parts = _parts(stage) if stage.model == served.name else [(stage.total_ms, INK)]
            for width, colour in parts:
                axes.barh(row, width, left=left, height=0.5, color=colour)
                if width > 0.12 * mean_ms and stage.model == served.name:
                    axes.text(
                        left + width / 2, row, f"{width:.0f} ms", ha="center", va="center", color="white", fontsize=9
                    )
                left += width
        axes.annotate(f"{left:.0f} ms", (left, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9)
    names = [f"{task.value}\n({served.name})" for task, served in chains.items()]
    axes.set_yticks(range(1 + len(chains)), ["what a\ncaller waits", *names])
    axes.invert_yaxis()
    axes.set_xlim(0, axes.get_xlim()[1] * 1.04)
    axes.set_xlabel("milliseconds for each request, on average; the chains run side by side")
    colours = (
        ("the model waits for its turn", SECOND),
        ("the model works", GOOD),
        ("text to tokens, tokens to text", INK),
    )
    handles = [Rectangle((0, 0), 1, 1, color=colour) for _, colour in colours]
    figure.legend(
        handles, [words for words, _ in colours], loc="outside lower center", ncols=3, frameon=False, fontsize=9
    )
    rate = step.run.arrivals.rate_per_s
    axes.set_title(
        f"Where the time goes at {rate:.0f} articles a second   ({where(machine)})",
        loc="left",
        fontsize=11.5,
        color=INK,
    )
    save(figure, path)


def _parts(stage: Stage) -> list[tuple[float, str]]:
    """Widths and colours of a model's bar; what is neither waiting in its queue nor work is waiting too."""
    return [(max(stage.wait_ms, stage.total_ms - stage.compute_ms), SECOND), (stage.compute_ms, GOOD)]


def draw_processes(step: Step, machine: Machine, path: Path) -> None:
    """Cores and memory of every process at one rate."""
    shown = [use for use in step.processes if use.cores >= 0.005 or use.memory_bytes > 20e6]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9.5, 1.2 + 0.36 * len(shown)), layout="constrained", sharey=True
    )
    for axes, values, unit in (
        (left, [use.cores for use in shown], "{:.2f}"),
        (right, [use.memory_bytes / 1e6 for use in shown], "{:.0f}"),
    ):
        style(axes)
        axes.grid(visible=False, axis="y")
        axes.barh(range(len(shown)), values, height=0.62, color=GOOD)
        for row, value in enumerate(values):
            axes.annotate(
                unit.format(value), (value, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9
            )
        axes.set_xlim(0, max(values) * 1.15)
    names = [f"{use.name} ({use.processes})" if use.processes > 1 else use.name for use in shown]
    left.set_yticks(range(len(shown)), names)
    left.invert_yaxis()
    left.set_xlabel("cores in use, on average")
    right.set_xlabel("memory, MB")
    total = sum(use.cores for use in step.processes)
    figure.suptitle(
        f"Who does the work at {step.run.arrivals.rate_per_s:.0f} articles a second: {total:.1f} of "
        f"{machine.cores} cores busy",
        x=0.01, ha="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)
