"""The report of an overload: a picture (answers, waiting, memory), a few sentences, and a document for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.common.charts import BAD, GOOD, INK, PALE, SECOND, save, style, where
from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text
from benchmarks.common.wire import RequestOutcome

from .overload import Overload, per_second

PICTURE: Final = "overload.png"
_COLOURS: Final = (
    (RequestOutcome.ANSWERED, GOOD, "answered"),
    (RequestOutcome.REFUSED, SECOND, "refused at once"),
    (RequestOutcome.LEFT, PALE, "caller went away"),
    (RequestOutcome.LATE, BAD, "no answer in time"),
    (RequestOutcome.FAILED, "#6b1f6b", "failed"),
)


def sentence(found: Overload) -> str:
    """The finding, in two sentences."""
    refused_ms, longest_ms = (
        found.latency_ms(RequestOutcome.REFUSED, 50),
        found.latency_ms(RequestOutcome.ANSWERED, 100),
    )
    return (
        f"Asked for {found.config.times:g} times what it can answer, the server went on answering "
        f"{found.goodput_per_s:.0f} requests a second, {100 * found.goodput_share:.0f} % of its peak. It refused the "
        f"rest within {refused_ms:.0f} ms (median), no accepted request took longer than {longest_ms:.0f} ms, and "
        f"{_recovery(found)} the overload all was as before."
    )


def _recovery(found: Overload) -> str:
    if math.isfinite(found.recovery_s):
        return f"{found.recovery_s:.0f} s after"
    return f"not within {found.config.calm_s:g} s after"


def document(found: Overload, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    percentiles = (50, 90, 99, 100)
    return {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "config": asdict(found.config),
        "peak_per_s": found.peak_per_s,
        "goodput_per_s": found.goodput_per_s,
        "goodput_share": found.goodput_share,
        **{outcome.value: len(found.between(*found.overload_s, outcome)) for outcome in RequestOutcome},
        "failures": dict(found.run.reasons),
        "answered_ms": {f"p{p}": found.latency_ms(RequestOutcome.ANSWERED, p) for p in percentiles},
        "refused_ms": {f"p{p}": found.latency_ms(RequestOutcome.REFUSED, p) for p in percentiles},
        "recovery_s": found.recovery_s if math.isfinite(found.recovery_s) else None,
        "memory_growth": found.memory_growth,
        "wasted_share": found.wasted_share,
        "healed": found.healed,
        "generator_behind_p99_ms": found.run.behind_p99_ms,
    }


def markdown(found: Overload, machine: Machine, day: date, command: str) -> str:
    """The report as it lies in the repository."""
    doc, config = document(found, machine, day), found.config
    rows = {
        "what the server can do (16 in flight)": f"{found.peak_per_s:.1f} answers/s",
        f"arrivals during the overload ({config.seconds:g} s)": f"{config.times * found.peak_per_s:.0f} a second",
        "answered": f"{found.goodput_per_s:.1f} a second, {100 * found.goodput_share:.0f} % of the peak",
        "an accepted request took": f"p50 {doc['answered_ms']['p50']:.0f} ms, p99 {doc['answered_ms']['p99']:.0f} ms, "
        f"at most {doc['answered_ms']['p100']:.0f} ms",
        "a refusal took": f"p50 {doc['refused_ms']['p50']:.0f} ms, p99 {doc['refused_ms']['p99']:.0f} ms",
        "no answer in its time": f"{doc['late']} of {len(found.between(*found.overload_s))}",
        "failed otherwise": str(doc["failed"]),
        "callers who went away": f"{doc['left']}",
        "summaries computed for nobody": f"{100 * found.wasted_share:.1f} %",
        "memory": f"{100 * found.memory_growth:+.1f} %",
        "all as before": f"{_recovery(found)} the overload",
        "Triton started again, models loaded anew": f"{found.healed} times",
    }
    lines = [
        "# Overload",
        "",
        f"**{sentence(found)}**",
        "",
        f"{machine}; {day.isoformat()}; `{command}`. Articles as long as real ones, a time-out of "
        f"{config.timeout_s:g} s for each request, {100 * config.leaving:.0f} % of the callers leave after "
        f"{1e3 * config.leaves_s:.0f} ms. The load generator shares the cores.",
        "",
        f"![Answers, waiting and memory before, during and after the overload]({PICTURE})",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def draw_overload(found: Overload, machine: Machine, path: Path) -> None:
    """Three panels over time: what became of the requests, how long they took, and the server's memory."""
    config = found.config
    length_s = 2 * config.calm_s + config.seconds
    seconds = np.arange(int(length_s)) + 0.5
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(9.5, 8), sharex=True, layout="constrained", height_ratios=(3, 2.4, 1.1)
    )
    for axes in (top, middle, bottom):
        style(axes)
        axes.axvspan(*found.overload_s, color=SECOND, alpha=0.07)
    below = np.zeros(len(seconds))
    for outcome, colour, words in _COLOURS:
        counts = np.array(per_second(found.run.sent, length_s, outcome)[: len(seconds)], float)
        if counts.any():
            top.bar(seconds, counts, width=1.0, bottom=below, color=colour, label=words)
            below += counts
    top.axhline(found.peak_per_s, color=INK, linewidth=1, linestyle=(0, (5, 3)))
    top.annotate(
        f"what the server can do: {found.peak_per_s:.0f} a second", (0.2, found.peak_per_s), xytext=(0, 4),
        textcoords="offset points", color=INK, fontsize=9,
    )  # fmt: skip
    top.set_ylabel("requests that arrived\nin each second")
    top.legend(loc="upper left", frameon=False, fontsize=9)
    for outcome, colour, words in _COLOURS[:2]:
        dots = [(one.due_s, one.latency_ms) for one in found.run.sent if one.outcome is outcome]
        if dots:
            middle.scatter(*zip(*dots, strict=True), s=5, color=colour, alpha=0.55, linewidths=0, label=words)
    limit_ms = 1e3 * config.timeout_s
    middle.axhline(limit_ms, color=BAD, linewidth=1.2, linestyle=(0, (5, 3)))
    middle.annotate(
        f"the callers' time-out: {limit_ms:.0f} ms", (0.2, limit_ms), xytext=(0, -11), textcoords="offset points",
        color=BAD, fontsize=9,
    )  # fmt: skip
    middle.set_ylim(0, 1.08 * limit_ms)
    middle.set_ylabel("milliseconds to the answer\nor the refusal")
    bottom.plot(*zip(*((at_s, used / 1e6) for at_s, used in found.memory), strict=True), color=INK, linewidth=1.6)
    bottom.set_ylim(0, max(used for _, used in found.memory) / 1e6 * 1.25)
    bottom.set_ylabel("memory, MB")
    bottom.set_xlabel("seconds")
    bottom.set_xlim(0, length_s)
    top.set_title(
        f"{config.times:g} times too much for {config.seconds:g} s: still {found.goodput_per_s:.0f} answers a second "
        f"({100 * found.goodput_share:.0f} % of the peak),\nnone after more than "
        f"{found.latency_ms(RequestOutcome.ANSWERED, 100):.0f} ms, and the rest refused at once   ({where(machine)})",
        loc="left", fontsize=11.5, color=INK,
    )  # fmt: skip
    save(figure, path)


def write_overload(found: Overload, machine: Machine, day: date, command: str, out: Path) -> list[Path]:
    """Write ``overload.md``, ``overload.json`` and the picture; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    draw_overload(found, machine, out / PICTURE)
    return [
        write_text(out / "overload.md", markdown(found, machine, day, command)),
        write_json(out / "overload.json", document(found, machine, day)),
        out / PICTURE,
    ]
