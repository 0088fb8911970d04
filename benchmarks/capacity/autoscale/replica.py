"""One replica at any rate: what `simulate` of this package says of it, as curves.

A replica's room is full or empty again within about a second (it holds some 40 requests of some 30 a second), so a day
in steps of one second takes each second as if the rate had always been so. The day itself, a million requests and
more, need not be simulated one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.capacity.deployed import DeployedModels, SimulatedLoad, requests_of, server_of
from benchmarks.capacity.queueing import Server, Simulated, highest, simulate
from benchmarks.capacity.service_times import ServiceTimes

CORES: Final = 2
BOUND_MS: Final = 500.0
RATES: Final = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0,
                1.05, 1.1, 1.15, 1.2, 1.3, 1.5, 1.8, 2.3, 3.0, 5.0, 10.0)  # fmt: skip
"""Relative to the highest rate."""
_SHARES: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class Replica:
    """Curves; the arrays have one row for each rate."""

    highest_per_s: float
    """At which 99 of 100 are answered within `BOUND_MS`."""
    rates_per_s: NDArray[Any]
    refused: NDArray[Any]
    """Share of the requests."""
    busy: NDArray[Any]
    """Share of the cores."""
    under_way: NDArray[Any]
    """Quantiles of the requests that run or wait at a moment, at the shares 0 to 1 in equal steps."""
    latency_ms: NDArray[Any]
    """Quantiles of the answers' times, likewise."""

    def place(self, rate_per_s: float) -> tuple[int, float]:
        """The row below a rate, and how far it is to the next one, 0 to 1."""
        low = int(np.clip(np.searchsorted(self.rates_per_s, rate_per_s) - 1, 0, len(self.rates_per_s) - 2))
        first, last = self.rates_per_s[low], self.rates_per_s[low + 1]
        return low, float(np.clip((rate_per_s - first) / (last - first), 0.0, 1.0))

    def at(self, curve: NDArray[Any], rate_per_s: float) -> Any:
        """A curve's value, or row, at a rate; constant beyond both ends."""
        low, part = self.place(rate_per_s)
        return (1 - part) * curve[low] + part * curve[low + 1]

    def p99_ms(self, rate_per_s: float) -> float:
        """The p99 of the answered requests."""
        return float(np.interp(0.99, _steps(self.latency_ms), self.at(self.latency_ms, rate_per_s)))

    def mixed_ms(self, answered: Sequence[float] | NDArray[Any], share: float) -> float:
        """A quantile of all answers' times, where so many were given at each of the rates."""
        values = self.latency_ms[:, 1:] / 2 + self.latency_ms[:, :-1] / 2
        weights = np.repeat(np.asarray(answered, float)[:, None] / values.shape[1], values.shape[1], axis=1)
        order = np.argsort(values, axis=None)
        summed = np.cumsum(weights.ravel()[order])
        if not summed[-1]:
            return 0.0
        return float(values.ravel()[order][np.searchsorted(summed, share * summed[-1])])


def make_replica(times: ServiceTimes, deployment: DeployedModels, replica_per_s: float | None = None) -> Replica:
    """Simulate a replica of `CORES` cores, as deployed, at the rates `RATES`: half a minute.

    Args:
        times: What its stages cost.
        deployment: How it is run.
        replica_per_s: Its highest rate within `BOUND_MS` where that was measured otherwise: all costs are made longer
            or shorter in proportion until the simulation finds it too. None takes them as they are.
    """
    load, server = SimulatedLoad(times=times), server_of(times, deployment, CORES, client=False)
    full = load.full_per_s(server)
    longer, found = 1.0, 0.0
    for _ in range(1 if replica_per_s is None else 4):
        found = _highest(load, server, full, longer)
        if replica_per_s is None or abs(found / replica_per_s - 1) < 0.015:
            break
        longer *= found / replica_per_s
    top = found if replica_per_s is None else replica_per_s
    rates = np.array(RATES) * top
    rows = [_run(load, server, float(rate), longer, requests=max(1500, round(100 * rate))) for rate in rates]
    answered = [run.latency_ms[np.isfinite(run.latency_ms)] for run, _ in rows]
    return Replica(
        highest_per_s=top,
        rates_per_s=rates,
        refused=np.array([run.refused / len(run.latency_ms) for run, _ in rows]),
        busy=np.array([run.busy_s / run.seconds / CORES for run, _ in rows]),
        under_way=np.array([np.quantile(_under_way(run, arrivals), _SHARES) for run, arrivals in rows]),
        latency_ms=np.array([np.quantile(one, _SHARES) for one in answered]),
    )


def _highest(load: SimulatedLoad, server: Server, full: float, longer: float) -> float:
    def holds(rate_per_s: float) -> bool:
        return _run(load, server, rate_per_s, longer, requests=3000)[0].percentile_ms(99) <= BOUND_MS

    return highest(holds, low=0.05 * full / longer, high=full / longer)


def _run(
    load: SimulatedLoad, server: Server, rate_per_s: float, longer: float, *, requests: int
) -> tuple[Simulated, NDArray[Any]]:
    arrivals_s, words = load.arrivals(rate_per_s, min(requests, load.maximum_requests))
    asked = requests_of(load.times, words, arrivals_s)
    slower = replace(asked, cpu_s={stage: longer * cpu_s for stage, cpu_s in asked.cpu_s.items()})
    return simulate(server, slower), arrivals_s


def _under_way(run: Simulated, arrivals_s: NDArray[Any]) -> NDArray[Any]:
    """Requests that run or wait, at 2,000 moments."""
    taken = np.isfinite(run.latency_ms)
    ends_s = np.sort(arrivals_s[taken] + run.latency_ms[taken] / 1e3)
    moments = np.linspace(arrivals_s[len(arrivals_s) // 10], arrivals_s[-1], 2000)
    came = np.searchsorted(arrivals_s[taken], moments, side="right")
    return came - np.searchsorted(ends_s, moments, side="right")


def _steps(rows: NDArray[Any]) -> NDArray[Any]:
    return np.linspace(0, 1, rows.shape[1])
