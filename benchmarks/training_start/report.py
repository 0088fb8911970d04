"""What `training-start` measured: a document for programs and a table for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .articles import LABELS, LONGEST_WORDS, ROWS, SHORTEST_WORDS
from .measurement import LOOK_S, Compared, Start

NAME: Final = "training_start"
"""The files' name, without its ending."""
FIGURES: Final[Mapping[str, Callable[[Start], float]]] = {
    "first step, s": lambda one: one.first_step_s,
    "whole run, s": lambda one: one.run_s,
    "peak memory, MB": lambda one: one.peak_bytes / 1e6,
    "CPU time, s": lambda one: one.cpu_s,
}
"""The columns of the table."""


def document(found: Compared, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    return {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "rounds": found.config.rounds,
        "steps": found.config.steps,
        "articles": ROWS,
        "sides": {
            name: {
                "median": {figure: median(getattr(one, figure) for one in starts) for figure in asdict(starts[0])},
                "runs": [asdict(one) for one in starts],
            }
            for name, starts in found.starts.items()
        },
    }


def markdown(found: Compared, machine: Machine, day: date, command: str) -> str:
    """The table, and what it was measured on."""
    config = found.config
    times = "once each" if config.rounds == 1 else f"median of {config.rounds} in turn (lowest to highest)"
    rows = [
        f"| {name} | {' | '.join(_cell([of(one) for one in starts]) for of in FIGURES.values())} |"
        for name, starts in found.starts.items()
    ]
    late = sorted({one.first_step for starts in found.starts.values() for one in starts} - {1})
    lines = [
        "# How soon a training run is under way",
        "",
        f"{machine}, {day.isoformat()}. `{command}`",
        "",
        f"`python -m training fit category --base starter --set max_steps={config.steps} --set logging_steps=1` on "
        f"{ROWS} made-up articles of {SHORTEST_WORDS} to {LONGEST_WORDS} words and {len(LABELS)} labels, each run in a "
        f"new folder with its own `mlruns/mlflow.db`; {times}. Times count from the start of the process. Memory is "
        f"that of all its processes together, Ray's too, with shared pages once (PSS), looked at every {LOOK_S:g} s.",
        "",
        f"| | {' | '.join(FIGURES)} |",
        f"|---|{'---:|' * len(FIGURES)}",
        *rows,
    ]
    if late:
        lines += ["", f"The first step that the log told of was in some runs step {', '.join(map(str, late))}, not 1."]
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    shown = [
        f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in (median(values), min(values), max(values))
    ]
    return shown[0] if len(values) == 1 else f"{shown[0]} ({shown[1]} to {shown[2]})"


def write_report(found: Compared, machine: Machine, day: date, command: str, folder: Path) -> list[Path]:
    """Write ``training_start.md`` and ``training_start.json``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_text(folder / f"{NAME}.md", markdown(found, machine, day, command)),
        write_json(folder / f"{NAME}.json", document(found, machine, day)),
    ]
