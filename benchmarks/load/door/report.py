"""The report of the comparison: tables for people, and a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common.machine import Machine
from benchmarks.common.reports import write_json, write_text

from .comparing import DIRECT, OPEN_TIMES, Compared, ratio


def document(found: Compared, machine: Machine, day: date) -> dict[str, Any]:
    """Everything that was measured; keys carry their units."""
    return {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "config": asdict(found.config),
        "one_client": [asdict(one) for one in found.one_client],
        "closed_per_s": found.closed_per_s,
        "closed_share": ratio(found.closed_per_s),
        "highest_per_s": found.highest_per_s,
        "highest_share": ratio(found.highest_per_s),
        "batches": [asdict(one) for one in found.batches],
        "batch_share": ratio([(one.many_per_s, one.batch_per_s) for one in found.batches]),
    }


def markdown(found: Compared, machine: Machine, day: date, command: str) -> str:
    """The report."""
    config = found.config
    lines = [
        "# The door beside Triton",
        "",
        f"{machine}, {day.isoformat()}. `{command}`, which runs beside the server on the same cores.",
        "",
        f"One server, asked past its door and through it in turn. One client, {config.rounds} turns of "
        f"{config.requests} requests; *added* is the median over the turns of what a way's median has more than "
        "Triton's in the same turn.",
        "",
        "| request | way | p50 ms | p99 ms | added ms | CPU of the door, ms | CPU of the server, ms |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in found.one_client:
        added = "" if one.way == DIRECT else f"{one.added_ms:+.2f}"
        lines.append(
            f"| {one.kind} | {one.way} | {one.p50_ms:.1f} | {one.p99_ms:.1f} | {added} | {one.door_cpu_ms:.2f} | "
            f"{one.server_cpu_ms:.1f} |"
        )
    lines += ["", f"Rates of `{config.kinds[0]}`, gRPC, articles as long as real ones:", ""]
    lines += ["| | Triton, a second | door, a second | the door keeps |", "|---|---:|---:|---:|"]
    words = f"closed loop, {config.in_flight} in flight, {config.closed_s:g} s"
    lines += _rates(words, found.closed_per_s)
    words = (
        f"open loop, {OPEN_TIMES:g} times that asked for, {config.seconds:g} s: answers within {config.bound_ms:g} ms"
    )
    lines += _rates(words, found.highest_per_s)
    if found.batches:
        pairs = [(one.many_per_s, one.batch_per_s) for one in found.batches]
        share = ratio(pairs)
        many, batch = (median(column) for column in zip(*pairs, strict=True))
        memory = ", ".join(f"{one.door_bytes / 1e6:.0f}" for one in found.batches)
        lines += [
            "",
            f"{config.batch_articles} articles by one program, median of {len(pairs)}: {many:.1f} a second by "
            f"`analyze_many` over gRPC, {batch:.1f} in one request to `/v1/analyze/batch` "
            f"({100 * (share or 0):.0f} %). The door had {memory} MB after each batch.",
        ]
    return "\n".join(lines) + "\n"


def _rates(words: str, pairs: Sequence[tuple[float, float]]) -> list[str]:
    share = ratio(pairs)
    if share is None:
        return []
    direct, door = (median(column) for column in zip(*pairs, strict=True))
    times = f"median of {len(pairs)}" if len(pairs) > 1 else "once"
    return [f"| {words}; {times} | {direct:.1f} | {door:.1f} | {100 * share:.0f} % |"]


def write_comparison(found: Compared, machine: Machine, day: date, command: str, folder: Path) -> list[Path]:
    """Write ``door.md`` and ``door.json``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_text(folder / "door.md", markdown(found, machine, day, command)),
        write_json(folder / "door.json", document(found, machine, day)),
    ]
