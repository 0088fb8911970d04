"""All that is computed from a capacity measurement: the check of the simulation, growth with cores, and replicas."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from benchmarks.common.articles import Articles
from benchmarks.common.open_loop import Arrivals

from .data import Check, Measured
from .deployed import (
    DeployedModels,
    SimulatedLoad,
    check_fits,
    replicas,
    requests_of,
    server_of,
)
from .queueing import simulate
from .service_times import ServiceTimes
from .wanted import BOUNDS_MS, HEAD_ROOM, WANTED_PER_S

SIMULATED_CORES: Final = (1, 2, 4, 8, 16, 32)
REPLICA_CORES: Final = (2, 4, 8)
BOUND_MS: Final = 500.0
"""The bound on the p99 for which growth with cores is simulated."""
DRAWN: Final = 4000
"""Articles of each simulated rate of a drawn line."""
_LINE: Final = np.linspace(0.1, 1.0, 19)
"""Rates of the drawn lines, relative to a full server's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A measured rate beside the simulation of the very same requests."""

    check: Check
    p50_ms: float
    """Simulated, of the answered requests."""
    p99_ms: float
    lost: int

    @property
    def p50_error(self) -> float:
        """Error of the simulated p50, relative to the measured one: 0.1 is 10 % too slow."""
        return self.p50_ms / self.check.p50_ms - 1

    @property
    def p99_error(self) -> float:
        """Error of the simulated p99, as `p50_error`."""
        return self.p99_ms / self.check.p99_ms - 1


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A simulated server with so many cores."""

    cores: int
    everything: bool
    """Whether all models have more instances, or only the summary's."""
    full_per_s: float
    highest_per_s: float
    """Within `BOUND_MS`."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Simulated latency against the rate."""

    rates_per_s: tuple[float, ...]
    p50_ms: tuple[float, ...]
    p99_ms: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the simulation says."""

    checked: tuple[Checked, ...]
    full_per_s: Mapping[int, float]
    """As configured, with the load generator where it was measured, by measured cores."""
    lines: Mapping[int, Line]
    """As `full_per_s`."""
    grown: tuple[Grown, ...]
    replica_per_s: Mapping[int, Mapping[float, float]]
    """Highest rate of one replica by its cores and the bound in milliseconds."""


def make_plan(measured: Measured, deployment: DeployedModels) -> Plan:
    """Simulate everything that the page shows: about half a minute.

    Raises:
        BenchmarkError: The measurement is of other models than those that are deployed.
    """
    check_fits(measured.times, deployment)
    work = SimulatedLoad(times=measured.times)
    # As many articles at low rates, for smooth lines.
    drawn = replace(work, seconds=1e9, maximum_requests=DRAWN)
    full_per_s, lines = {}, {}
    for cores in measured.by_cores:
        # A server on fewer cores leaves the load generator one of its own.
        server = server_of(measured.times, deployment, cores, client=cores == measured.cores)
        full_per_s[cores] = work.full_per_s(server)
        rates = [float(share) * full_per_s[cores] for share in _LINE]
        runs = [drawn.run(server, rate) for rate in rates]
        answered = [run.latency_ms[np.isfinite(run.latency_ms)] for run in runs]
        lines[cores] = Line(
            rates_per_s=tuple(rates),
            p50_ms=tuple(float(np.percentile(one, 50)) for one in answered),
            p99_ms=tuple(float(np.percentile(one, 99)) for one in answered),
        )
    grown, replica_per_s = [], {}
    for cores in SIMULATED_CORES:
        for everything in (False, True):
            server = server_of(measured.times, deployment.grown(cores, everything=everything), cores, client=False)
            if everything and cores in REPLICA_CORES:
                replica_per_s[cores] = {bound: work.highest_per_s(server, bound) for bound in BOUNDS_MS}
            grown.append(
                Grown(
                    cores=cores,
                    everything=everything,
                    full_per_s=work.full_per_s(server),
                    highest_per_s=replica_per_s[cores][BOUND_MS]
                    if everything and cores in replica_per_s
                    else work.highest_per_s(server, BOUND_MS),
                )
            )
        log.info("simulated %d cores: %.0f articles/s within %g ms", cores, grown[-1].highest_per_s, BOUND_MS)
    return Plan(
        checked=tuple(_checked(measured.times, deployment, measured.cores, check) for check in measured.checks),
        full_per_s=full_per_s,
        lines=lines,
        grown=tuple(grown),
        replica_per_s=replica_per_s,
    )


def _checked(times: ServiceTimes, deployment: DeployedModels, all_cores: int, check: Check) -> Checked:
    arrivals = Arrivals(rate_per_s=check.rate_per_s, seconds=check.seconds, warmup_s=check.warmup_s, seed=check.seed)
    due_s, articles = np.array(arrivals.due_s()), Articles(seed=check.seed)
    words = np.array([len(next(articles).text.split()) for _ in due_s])
    server = server_of(times, deployment, check.cores, client=check.cores == all_cores)
    latency_ms = simulate(server, requests_of(times, words, due_s)).latency_ms[due_s >= check.warmup_s]
    answered = latency_ms[np.isfinite(latency_ms)]
    p50, p99 = np.percentile(answered, (50, 99), method="inverted_cdf")
    return Checked(check=check, p50_ms=float(p50), p99_ms=float(p99), lost=len(latency_ms) - len(answered))


def replicas_document(
    replica_per_s: float, wanted_per_s: tuple[float, ...] = WANTED_PER_S, *, head_room: float = HEAD_ROOM
) -> list[dict[str, Any]]:
    """How many servers of one highest rate each wanted rate needs."""
    found = []
    for wanted in wanted_per_s:
        count = replicas(wanted, replica_per_s, head_room=head_room)
        found.append(
            {
                "wanted_per_s": wanted,
                "replicas": count,
                "rate_of_each_per_s": None if count is None else wanted / count,
                "load_of_each": None if count is None else wanted / count / replica_per_s,
            }
        )
    return found


def plan_document(plan: Plan, wanted_per_s: tuple[float, ...]) -> dict[str, Any]:
    """Everything that was simulated; keys carry their units."""
    return {
        "check": [
            {
                "cores": one.check.cores,
                "rate_per_s": one.check.rate_per_s,
                "sent": one.check.sent,
                "measured": {"p50_ms": one.check.p50_ms, "p99_ms": one.check.p99_ms, "lost": one.check.lost},
                "simulated": {"p50_ms": one.p50_ms, "p99_ms": one.p99_ms, "lost": one.lost},
            }
            for one in plan.checked
        ],
        "full_per_s_by_cores": {str(cores): rate for cores, rate in plan.full_per_s.items()},
        "growth": [
            {
                "cores": one.cores,
                "instances_grown": "all models" if one.everything else "summary only",
                "full_per_s": one.full_per_s,
                f"within_{BOUND_MS:g}_ms_per_s": one.highest_per_s,
            }
            for one in plan.grown
        ],
        "head_room": HEAD_ROOM,
        "replicas": [
            {
                "cores": cores,
                "bound_p99_ms": bound,
                "replica_per_s": rate,
                "rows": replicas_document(rate, wanted_per_s),
            }
            for cores, rates in plan.replica_per_s.items()
            for bound, rate in rates.items()
        ],
    }
