"""What `feedback` measured: a document for programs and a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .config import FeedbackConfig
from .measurement import Costs

NAME: Final = "feedback"
_RESAMPLES: Final = 2000


def added(with_ms: Sequence[float], without_ms: Sequence[float]) -> tuple[float, float, float]:
    """The median of the differences between turns, and its 95 % interval by the bootstrap (percentiles), in ms."""
    differences = np.asarray(with_ms) - np.asarray(without_ms)
    drawn = np.random.default_rng(0).choice(differences, size=(_RESAMPLES, len(differences)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(np.median(differences)), float(low), float(high)


def document(found: Costs, config: FeedbackConfig, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    answers = {}
    for name, with_ms in found.with_ms.items():
        value, low, high = added(with_ms, found.without_ms[name])
        answers[name] = {
            "with_ms": median(with_ms),
            "without_ms": median(found.without_ms[name]),
            "added_ms": value,
            "added_low_ms": low,
            "added_high_ms": high,
        }
    quality = {"computed_ms": found.computed_ms, "kept_ms": found.kept_ms, "page_ms": found.page_ms}
    return {
        "date": day.isoformat(),
        "machine": asdict(machine),
        **asdict(config),
        "store_bytes": found.store_bytes,
        "answers": answers,
        "quality": {
            name: {"median": median(values), "max": max(values)} if values else None for name, values in quality.items()
        },
    }


def markdown(found: Costs, config: FeedbackConfig, machine: Machine, day: date, command: str) -> str:
    """The tables, and what they were measured on."""
    lines = [
        "# What feedback costs",
        "",
        f"{machine}, {day.isoformat()}. `{command}`",
        "",
        f"A server that keeps every prediction, in a SQLite file with {config.predictions:,} predictions and "
        f"{config.ratings:,} ratings ({found.store_bytes / 1e6:,.0f} MB), and one that keeps none, in turn: "
        f"{config.rounds} turns of {config.requests} answers over `/v1/analyze`, the median of each turn. Added is "
        "the median of the differences between both in a turn, with its 95 % interval.",
        "",
        "| answer | with feedback, ms | without, ms | added, ms |",
        "|---|---:|---:|---:|",
    ]
    for name, with_ms in found.with_ms.items():
        value, low, high = added(with_ms, found.without_ms[name])
        lines.append(
            f"| {name} | {median(with_ms):.2f} | {median(found.without_ms[name]):.2f} | "
            f"{value:+.2f} ({low:+.2f} to {high:+.2f}) |"
        )
    lines += ["", "| quality of that store | median, ms | longest, ms |", "|---|---:|---:|"]
    rows = {
        "`/v1/quality`, computed": found.computed_ms,
        "`/v1/quality`, asked again": found.kept_ms,
        "the page, to its first chart": found.page_ms,
    }
    lines += [
        f"| {name} | {median(values):.0f} | {max(values):.0f} |" if values else f"| {name} | not measured | |"
        for name, values in rows.items()
    ]
    return "\n".join(lines) + "\n"


def write_report(
    found: Costs, config: FeedbackConfig, machine: Machine, day: date, command: str, folder: Path
) -> list[Path]:
    """Write ``feedback.md`` and ``feedback.json``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_text(folder / f"{NAME}.md", markdown(found, config, machine, day, command)),
        write_json(folder / f"{NAME}.json", document(found, config, machine, day)),
    ]
