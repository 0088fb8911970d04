"""Pictures of a load test that speak for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from infolens.machine import Machine

from .metrics import Stage
from .steps import Step

GOOD, BAD, INK, PALE, SECOND = "#1f7a5c", "#b3362b", "#26333d", "#c9d3da", "#d08a1d"
_PERCENTILES: Final = ((50.0, "half of the requests", 2.2), (90.0, "9 of 10", 1.6), (99.0, "99 of 100", 2.2))
_SHADES: Final = ("#7fb8a4", "#3f9275", "#0f5a41")


def style(axes: Any) -> None:
    """No frame, pale grid: the data is what is seen."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=PALE, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)


def save(figure: Any, path: Path) -> None:
    """Write beside, then rename: nobody sees half a picture."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    figure.savefig(partial, dpi=130)
    plt.close(figure)
    partial.replace(path)


def where(machine: Machine) -> str:
    """The machine in a few words."""
    return f"{machine.cores} cores of {machine.cpu}"


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
                f"{100 * share:.1f} % lost" if share >= 0.001 else f"{step.run.lost} lost",
                (rate, max(1.0, step.run.percentiles_ms()[99.0])),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
                color=BAD,
                fontsize=8,
            )
    axes.axhline(p99_ms, color=BAD, linewidth=1.2, linestyle=(0, (5, 3)))
    axes.annotate(
        f"the bound: {p99_ms:.0f} ms", (1, p99_ms), xycoords=("axes fraction", "data"), xytext=(-4, 5),
        textcoords="offset points", ha="right", color=BAD, fontsize=9,
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
    """Where a request's time goes at one rate: what each model waited and worked, on average."""
    shown = [stage for stage in step.stages if stage.total_ms >= 0.05]
    figure, axes = plt.subplots(figsize=(9.5, 0.9 + 0.42 * len(shown) + 0.9), layout="constrained")
    style(axes)
    axes.grid(visible=False, axis="y")
    for row, stage in enumerate(shown):
        parts = _parts(stage)
        left = 0.0
        for width, colour in parts:
            axes.barh(row, width, left=left, height=0.62, color=colour)
            left += width
        axes.annotate(
            f"{stage.total_ms:.1f} ms", (left, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_yticks(range(len(shown)), [stage.model for stage in shown])
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds for each request, on average")
    colours = (
        ("waiting for its turn", SECOND),
        ("at work", GOOD),
        ("copying in and out", INK),
        ("asking others", PALE),
    )
    handles = [Rectangle((0, 0), 1, 1, color=colour) for _, colour in colours]
    axes.legend(handles, [words for words, _ in colours], loc="lower right", frameon=False, fontsize=9)
    rate = step.run.arrivals.rate_per_s
    axes.set_title(
        f"Where the time goes at {rate:.0f} articles a second\n{where(machine)}; "
        "summarize, classify and verify run side by side within info_lens",
        loc="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)


def _parts(stage: Stage) -> list[tuple[float, str]]:
    """Widths and colours of a bar. What asks other models has no time of its own in the metrics."""
    own = stage.wait_ms + stage.compute_ms + stage.copy_ms
    if stage.model in {"info_lens", "summarize", "classify", "verify"}:
        return [(stage.total_ms, PALE)]
    rest = max(0.0, stage.total_ms - own)
    return [(stage.wait_ms + rest, SECOND), (stage.compute_ms, GOOD), (stage.copy_ms, INK)]


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
