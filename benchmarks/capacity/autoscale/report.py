"""The page of a simulated day."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.capacity.deployed import replicas
from benchmarks.capacity.wanted import HEAD_ROOM
from benchmarks.common.reports import write_json, write_text

from .comparison import SEEDS, Comparison, Row
from .hpa import SYNC_S
from .pictures import draw_day
from .replica import BOUND_MS, CORES, Replica

PICTURE: Final = "day.png"
_SHOWN: Final = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.3, 5.0)


def write_autoscale(found: Comparison, command: str, out: Path) -> list[Path]:
    """Write ``autoscale.md``, ``autoscale.json`` and the picture; returns their paths, the page first."""
    out.mkdir(parents=True, exist_ok=True)
    draw_day(found, out / PICTURE)
    return [
        write_text(out / "autoscale.md", markdown(found, command)),
        write_json(out / "autoscale.json", document(found, command)),
        out / PICTURE,
    ]


def document(found: Comparison, command: str) -> dict[str, Any]:
    """For programs."""
    return {
        "command": command,
        "day": found.day.name,
        "usual_peak_per_s": found.usual_peak_per_s,
        "peak_per_s": float(found.day.rates_per_s.max()),
        "replica_per_s": found.replica.highest_per_s,
        "cold_start_s": found.cold_start_s,
        "threshold": found.numbers.threshold,
        "ways": [_figures(row) for row in found.ways],
        "other_numbers": [_figures(row) for row in found.others],
    }


def _figures(row: Row) -> dict[str, Any]:
    return {
        "name": row.name.strip("*"),
        "refused_share": round(row.mean("refused_share"), 6),
        "replica_hours": round(row.mean("replica_hours"), 1),
        "above_500_ms_minutes": round(row.mean("late_minutes"), 2),
        "p99_ms": round(row.mean("day_p99_ms"), 1),
        "most_replicas": row.most,
        "changes": round(row.mean("changes"), 1),
        "turns": round(row.mean("turns"), 1),
    }


def markdown(found: Comparison, command: str) -> str:
    """The page."""
    return "\n".join(
        [
            "# A day under the autoscaler",
            "",
            f"**{_headline(found)}**",
            "",
            f"Simulated, not lived; `{command}`. The numbers are read from "
            "[`scaled-object.yaml`](../../../k8s/components/autoscaling/scaled-object.yaml), the very file that is "
            f"applied. The day is `{found.day.name}`: up to {found.usual_peak_per_s:.0f} articles a second as usual, "
            f"and {found.day.rates_per_s.max():.0f} within a minute when there is news. A replica has {CORES} cores "
            f"and answers {found.replica.highest_per_s:.0f} a second, 99 of 100 within {BOUND_MS:.0f} ms.",
            "",
            f"![Load, replicas, waiting, refusals and p99 over the day]({PICTURE})",
            "",
            *_table("scaled by", found.ways),
            "",
            f"*Refused* is the share of the day's articles; *above {BOUND_MS:.0f} ms* are the minutes whose answers' "
            f"p99 is above it; *turns* is how often fewer replicas followed more, or more followed fewer. Each way "
            f"lives {SEEDS} days with other scrapes; the figures are means, the most is that of all days.",
            "",
            "## Other numbers",
            "",
            "The ScaledObject with one thing changed:",
            "",
            *_table("changed", found.others),
            "",
            *_replica(found),
            *_assumed(found),
        ]
    )


def _headline(found: Comparison) -> str:
    _, fixed, cpu, generous, ours = found.ways
    return (
        f"The ScaledObject refuses {_percent(ours)} of the day's articles and is above {BOUND_MS:.0f} ms for "
        f"{ours.mean('late_minutes'):.1f} minutes, with {ours.mean('replica_hours'):.0f} replica hours. By the "
        f"CPU's use it would refuse {_percent(cpu)} ({cpu.mean('replica_hours'):.0f} hours), or {_percent(generous)} "
        f"({generous.mean('replica_hours'):.0f} hours); "
        f"what refuses nothing is {fixed.days[0].replicas[0]:.0f} replicas all day, "
        f"{fixed.mean('replica_hours'):.0f} hours."
    )


def _percent(row: Row) -> str:
    return f"{100 * row.mean('refused_share'):.2f} %"


def _table(first: str, rows: Iterable[Row]) -> list[str]:
    return [
        f"| {first} | refused | above {BOUND_MS:.0f} ms | p99 of the day | replica hours | most | changes | turns |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row.name} | {_percent(row)} | {row.mean('late_minutes'):.1f} min | {row.mean('day_p99_ms'):.0f} ms | "
            f"{row.mean('replica_hours'):.0f} | {row.most} | {row.mean('changes'):.0f} | {row.mean('turns'):.0f} |"
            for row in rows
        ),
    ]


def _replica(found: Comparison) -> list[str]:
    replica, usual = found.replica, found.usual_peak_per_s
    kept = (1 - HEAD_ROOM) * replica.highest_per_s
    return [
        "## One replica",
        "",
        "What the simulation of [capacity.md](../capacity/capacity.md) says of one replica at a rate. Requests run or "
        "wait; those that run are at most as many as its room has places (`infolens_waiting_room_places`).",
        "",
        "| articles/s | of its highest rate | cores busy | run or wait | at 5 and 95 of 100 moments | p99 | refused |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(_at(replica, share * replica.highest_per_s) for share in _SHOWN),
        "",
        f"With {100 * HEAD_ROOM:.0f} % kept free, as `capacity` counts, {_under_way(replica, kept):.1f} requests run "
        f"or wait: that is the threshold's origin ({found.numbers.threshold:g}). `capacity` counts "
        f"{replicas(usual, replica.highest_per_s)} replicas for {usual:.0f} a second, and "
        f"{replicas(float(found.day.rates_per_s.max()), replica.highest_per_s)} for the burst.",
        "",
    ]


def _under_way(replica: Replica, rate_per_s: float) -> float:
    return float(np.mean(replica.at(replica.under_way, rate_per_s)))


def _at(replica: Replica, rate_per_s: float) -> str:
    low, high = np.interp((0.05, 0.95), np.linspace(0, 1, replica.under_way.shape[1]),
                          replica.at(replica.under_way, rate_per_s))  # fmt: skip
    return (
        f"| {rate_per_s:.1f} | {100 * rate_per_s / replica.highest_per_s:.0f} % | "
        f"{100 * replica.at(replica.busy, rate_per_s):.0f} % | {_under_way(replica, rate_per_s):.1f} | "
        f"{low:.0f} to {high:.0f} | {replica.p99_ms(rate_per_s):.0f} ms | "
        f"{100 * replica.at(replica.refused, rate_per_s):.1f} % |"
    )


def _assumed(found: Comparison) -> list[str]:
    return [
        "## Measured, and assumed",
        "",
        "- Measured: what an article costs ([capacity.md](../capacity/capacity.md)), made longer in proportion where "
        "`--replica-per-s` says so; and the 8 to 10 s from the start of `python -m serving` to the first good "
        "`/readyz`, on two cores with other work (one such start is a replica's, its image on the node; copying and "
        "hashing the models takes 0.1 s of it).",
        f"- Assumed: {found.cold_start_s} s from the decision until a replica serves, which leaves 10 s for the "
        "scheduler, the containers, the probe's period and the endpoints. A node that has to be made, or an image that "
        "has to be pulled, takes longer: see the rows above.",
        "- Assumed: the day. Real ones are given with `--day`.",
        "- Assumed: articles are shared out evenly among the replicas that serve. A caller over gRPC keeps its "
        "connection for up to `--max-connection-age`, and new replicas see nothing of it until then; where a burst "
        "comes over connections of before, it is borne by the old replicas for that long.",
        f"- The autoscaler looks every {SYNC_S} s and each replica is scraped every 15 s, at moments of its own. Its "
        "algorithm is that of Kubernetes' documentation (`benchmarks/capacity/autoscale/hpa.py`). No cluster, no "
        "KEDA and no metrics server took part.",
        "- The simulated room refuses by the expected wait alone; the door's lets as many wait as may run.",
        "",
    ]
