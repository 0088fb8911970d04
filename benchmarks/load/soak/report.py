"""The report of a soak: the verdict rule by rule, a picture, tables, and a document for programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .asking import LOST, Result
from .pictures import draw_soak
from .verdict import SHARED, Finding, growth_by_process, held, judge
from .windows import Soak, Stretch, Window

PICTURE: Final = "soak.png"
_SIGNS: Final = {True: "kept", False: "**BROKEN**", None: "not judged"}
_REASONS: Final = 10


def sentence(soak: Soak, findings: list[Finding]) -> str:
    """The finding, in a sentence or two."""
    broken = [one.rule for one in findings if one.holds is False]
    lasted = f"{soak.windows[-1].end_s / 60:.1f} minutes" if soak.windows else "no time"
    told = f"After {lasted} under load ({soak.count(*Result)} requests)"
    if broken:
        verdict = f"broken: {', '.join(broken)}."
    elif soak.first_and_last is None:
        verdict = "it is too early to tell."
    else:
        verdict = "the server is the one of the beginning."
    return f"{told} {verdict}{f' It was {soak.ended}.' if soak.ended else ''}"


def document(soak: Soak, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    findings = judge(soak)
    compared = soak.first_and_last
    return {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "config": asdict(soak.config),
        "ended": soak.ended,
        "held": held(soak, findings),
        "findings": [asdict(one) for one in findings],
        **({name: _stretch(part) for name, part in zip(("first", "last"), compared, strict=True)} if compared else {}),
        "memory_by_process_bytes": {
            name: {"first": first, "last": last} for name, (first, last) in growth_by_process(soak).items()
        },
        "requests": soak.count(*Result),
        **{result.value: soak.count(result) for result in Result},
        "reasons": soak.reasons,
        "asked": dict(soak.asked),
        "windows": [_window(one) for one in soak.windows],
        "processes": _by_process(soak),
    }


def _stretch(part: Stretch) -> dict[str, Any]:
    return {
        "begin_s": part.windows[0].begin_s,
        "end_s": part.windows[-1].end_s,
        "articles_per_s": part.articles_per_s,
        "requests_per_s": part.requests_per_s,
        "p50_ms": part.median(lambda one: one.p50_ms),
        "p99_ms": part.median(lambda one: one.p99_ms),
        "server_cpu_ms_per_article": part.cpu_ms,
        "memory_bytes": part.of_server(lambda look: look.memory_bytes),
        "shared_bytes": part.of_server(lambda look: look.shared_bytes),
        "shared_size_bytes": part.of_server(lambda look: look.shared_size_bytes),
        "steal_share": part.median(lambda one: one.steal_share),
        "load_1m": part.median(lambda one: one.load_1m),
        "calibration_ms": part.median(lambda one: one.calibration_ms),
    }


def _window(one: Window) -> dict[str, Any]:
    left_out = {"server", "asked"}  # said of all windows together, which keeps the document short
    look = one.server
    return {
        **{name: value for name, value in asdict(one).items() if name not in left_out},
        "results": {result.value: count for result, count in one.results.items()},
        "memory_bytes": look.memory_bytes if look else None,
        "shared_bytes": look.shared_bytes if look else None,
        "shared_size_bytes": look.shared_size_bytes if look else None,
    }


def _by_process(soak: Soak) -> dict[str, dict[str, list[float]]]:
    """Every number of every process, a value for each window in which the server was seen."""
    looks = [one.server for one in soak.windows if one.server is not None]
    fields = ("processes", "anonymous_bytes", "pss_bytes", "threads", "files", "cpu_s")
    return {
        name: {field: [look.total(name, field) for look in looks] for field in fields}
        for name in dict.fromkeys(process.name for look in looks for process in look.processes)
    }


def markdown(soak: Soak, machine: Machine, day: date, command: str) -> str:
    """The report as it lies in the repository, with its picture beside it."""
    findings, config = judge(soak), soak.config
    lines = [
        "# Soak",
        "",
        f"**{sentence(soak, findings)}**",
        "",
        f"{machine}; {day.isoformat()}; `{command}`. {config.users} users ask about {config.articles} articles as long "
        f"as real ones in all ways that the door has, each the next when the last was answered; {config.warm_s:.0f} s "
        f"of warm-up, windows of {config.every_s:g} s. The load generator shares the cores.",
        "",
        f"![Throughput, latency, CPU time and memory over the time]({PICTURE})",
        "",
        "| rule | | |",
        "|---|---|---|",
        *(f"| {one.rule} | {_SIGNS[one.holds]} | {one.words} |" for one in findings),
        "",
        *_comparison(soak),
        *_processes(soak),
        *_asked(soak),
        *_reasons(soak),
    ]
    return "\n".join(lines) + "\n"


def _comparison(soak: Soak) -> list[str]:
    if soak.first_and_last is None:
        return []
    first, last = (_stretch(part) for part in soak.first_and_last)
    rows = {
        "articles a second": ("articles_per_s", 1, "{:.2f}"),
        "requests a second": ("requests_per_s", 1, "{:.2f}"),
        "p50": ("p50_ms", 1, "{:.0f} ms"),
        "p99": ("p99_ms", 1, "{:.0f} ms"),
        "the server's CPU time for an article": ("server_cpu_ms_per_article", 1, "{:.2f} ms"),
        "memory of all processes, shared memory once": ("memory_bytes", 1e-6, "{:.1f} MB"),
        "shared memory: pages that were ever used": ("shared_bytes", 1e-6, "{:.2f} MB"),
        "shared memory: size": ("shared_size_bytes", 1e-6, "{:.2f} MB"),
        "processors' time that the host gave to others": ("steal_share", 100, "{:.1f} %"),
        "load average": ("load_1m", 1, "{:.1f}"),
        "a fixed piece of work (SHA-256 of 4 MiB)": ("calibration_ms", 1, "{:.2f} ms"),
    }
    times = " | ".join(f"{part['begin_s'] / 60:.1f} to {part['end_s'] / 60:.1f} min" for part in (first, last))

    def cell(part: dict[str, Any], key: str, scale: float, form: str) -> str:
        return "-" if part[key] is None else form.format(scale * part[key])

    table = [f"| {name} | {cell(first, *how)} | {cell(last, *how)} |" for name, how in rows.items()]
    return ["## First and last", "", f"| | {times} |", "|---|---:|---:|", *table, ""]


def _processes(soak: Soak) -> list[str]:
    if soak.first_and_last is None or soak.latest_look is None:
        return []
    first, last = soak.first_and_last
    rows = []
    for name, (before, after) in growth_by_process(soak).items():
        cells = [f"{before / 1e6:.1f} MB", f"{after / 1e6:.1f} MB", f"{(after - before) / 1e6:+.2f} MB"]
        cells.append(f"{100 * (after / before - 1):+.1f} %" if before else "-")
        for field, scale, form in (("pss_bytes", 1e-6, "{:.0f} MB"), ("threads", 1, "{:.0f}"), ("files", 1, "{:.0f}")):
            both = [form.format(scale * part.of_process(name, field)) for part in (first, last)]
            cells.append("-" if name == SHARED else both[0] if both[0] == both[1] else " → ".join(both))
        count = last.of_process(name, "processes")
        rows.append(f"| {name}{f' ({count:.0f})' if count > 1 else ''} | {' | '.join(cells)} |")
    return [
        "## Memory by process",
        "",
        "Anonymous pages, those in swap too: what a process holds for itself. Shared memory (`/dev/shm`) has a line of "
        "its own, once. Pages of files (libraries, models) count in the proportional set size (PSS) alone, since the "
        "kernel drops and keeps those as it likes. `launcher` is the supervisor. What grew most comes first.",
        "",
        "| process | first | last | growth | | PSS | threads | open files |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *rows,
        "",
    ]


def _asked(soak: Soak) -> list[str]:
    rows = [f"| {name} | {count} |" for name, count in soak.asked.items()]
    return ["## What was asked", "", "| question | times |", "|---|---:|", *rows, ""]


def _reasons(soak: Soak) -> list[str]:
    if not soak.reasons:
        return []
    shown = list(soak.reasons.items())[:_REASONS]
    kinds = ", ".join(f"{soak.count(kind)} {kind}" for kind in (*LOST, Result.WRONG) if soak.count(kind))
    return ["## What went wrong", "", f"{kinds}.", "", *(f"- {count} times: {words}" for words, count in shown), ""]


def write_soak(soak: Soak, machine: Machine, day: date, command: str, out: Path, *, draw: bool = True) -> list[Path]:
    """Write ``soak.md``, ``soak.json`` and, with ``draw``, the picture; returns their paths."""
    out.mkdir(parents=True, exist_ok=True)
    if draw and soak.windows:
        draw_soak(soak, machine, sentence(soak, judge(soak)), out / PICTURE)
    return [
        write_text(out / "soak.md", markdown(soak, machine, day, command)),
        write_json(out / "soak.json", document(soak, machine, day)),
        *([out / PICTURE] if soak.windows else []),
    ]
