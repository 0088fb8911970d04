"""The files of a load test, written beside their places and renamed into them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from infolens.machine import Machine

from .closed_loop.locust_run import LocustResult
from .open_loop.pictures import draw_latency, draw_processes, draw_stages
from .open_loop.report import LATENCY, PROCESSES, STAGES, Load, document, markdown, page
from .overload import report as overload_report
from .overload.overload import Overload


def write_whole(path: Path, content: str) -> Path:
    """Write a text file so that it is either whole or not there."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)
    return path


def write_load(load: Load, command: str, out: Path, locust: LocustResult | None = None) -> list[Path]:
    """Write ``load.html``, ``load.md``, ``load.json`` and the pictures; returns their paths, the page first."""
    out.mkdir(parents=True, exist_ok=True)
    draw_latency(load.steps, load.best_per_s, load.p99_ms, load.machine, out / LATENCY)
    (out / STAGES).unlink(missing_ok=True)
    if load.shown.stages:
        draw_stages(load.shown, load.machine, out / STAGES)
    draw_processes(load.shown, load.machine, out / PROCESSES)
    return [
        write_whole(out / "load.html", page(load, command, out, _closed_loop(locust))),
        write_whole(out / "load.md", markdown(load, command)),
        write_whole(out / "load.json", json.dumps(document(load), indent=1) + "\n"),
        *(out / name for name in (LATENCY, STAGES, PROCESSES)),
    ]


def write_overload(found: Overload, machine: Machine, day: date, command: str, out: Path) -> list[Path]:
    """Write ``overload.md``, ``overload.json`` and the picture; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    overload_report.draw_overload(found, machine, out / overload_report.PICTURE)
    facts = overload_report.document(found, machine, day)
    return [
        write_whole(out / "overload.md", overload_report.markdown(found, machine, day, command)),
        write_whole(out / "overload.json", json.dumps(facts, indent=1) + "\n"),
        out / overload_report.PICTURE,
    ]


def _closed_loop(locust: LocustResult | None) -> Mapping[str, Any] | None:
    if locust is None:
        return None
    return {"html": locust.html.name, "figures": [one for one in locust.figures if one.protocol]}
