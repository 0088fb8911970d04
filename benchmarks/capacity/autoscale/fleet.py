"""A day of replicas under a load, second by second."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .hpa import SYNC_S
from .replica import BOUND_MS, Replica
from .scalers import Scaler, Seen

SCRAPE_S: Final = 15
"""From one scrape of a replica to the next."""
LOOKBACK_S: Final = 300
"""So old may the last value of a query be (Prometheus' default)."""


@dataclass(frozen=True, kw_only=True)
class Outage:
    """Prometheus is away, or answers with nothing."""

    begin_s: int
    end_s: int
    reached: bool = False
    """Whether it answers (with nothing)."""

    def covers(self, now_s: int) -> bool:
        """Whether it is now."""
        return self.begin_s <= now_s < self.end_s


@dataclass(kw_only=True, slots=True)
class _Pod:
    """One replica."""

    ready_s: int
    phase_s: int
    """Each target is scraped at a moment of its own."""
    samples: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=64))

    def gauge(self, now_s: int, window_s: int) -> float | None:
        """Its last value, or the mean of a window; None where there is none."""
        newest = [value for at_s, value in self.samples if at_s > now_s - (window_s or LOOKBACK_S)]
        if not newest:
            return None
        return sum(newest) / len(newest) if window_s else newest[-1]


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What became of a day; arrays have one element a second."""

    name: str
    rate_per_s: NDArray[Any]
    replicas: NDArray[Any]
    """Ready or not: what is paid for."""
    ready: NDArray[Any]
    under_way: NDArray[Any]
    """Requests that run or wait, mean of a replica."""
    refused: NDArray[Any]
    """Share of the requests."""
    p99_ms: NDArray[Any]
    """p99 of the answered ones; infinite while no replica is ready."""
    day_p99_ms: float
    """Over the day's answers."""

    @property
    def refused_share(self) -> float:
        """Share of the day's requests that were refused."""
        asked = float(self.rate_per_s.sum())
        return float((self.refused * self.rate_per_s).sum()) / asked if asked else 0.0

    @property
    def replica_hours(self) -> float:
        """Hours of all replicas, those that start included."""
        return float(self.replicas.sum()) / 3600

    @property
    def late_minutes(self) -> float:
        """Minutes in whose seconds the p99 is above `BOUND_MS`, or none is ready."""
        return float((self.p99_ms > BOUND_MS).sum()) / 60

    @property
    def changes(self) -> int:
        """How often the number of replicas changed."""
        return int(np.count_nonzero(np.diff(self.replicas)))

    @property
    def turns(self) -> int:
        """How often it went down after up or up after down: flapping."""
        steps = np.sign(np.diff(self.replicas))
        steps = steps[steps != 0]
        return int(np.count_nonzero(np.diff(steps)))


def live(
    rates_per_s: NDArray[Any],
    replica: Replica,
    scaler: Scaler,
    *,
    cold_start_s: int,
    outages: Collection[Outage] = (),
    seed: int = 0,
) -> Lived:
    """Let a day pass.

    Args:
        rates_per_s: Articles a second, for each second; shared out evenly among the replicas that are ready.
        replica: What one does at any rate.
        scaler: Who says how many there are.
        cold_start_s: From the decision until a new replica serves.
        outages: When the metric is lost.
        seed: For what scrapes happen to see.
    """
    drawn = np.random.default_rng(seed)
    pods = [_Pod(ready_s=0, phase_s=int(drawn.integers(SCRAPE_S))) for _ in range(scaler.start)]
    seconds = len(rates_per_s)
    replicas, ready, under_way, refused = (np.zeros(seconds) for _ in range(4))
    p99_ms, busy = np.zeros(seconds), np.zeros(seconds)
    answered = np.zeros(len(replica.rates_per_s))
    means, quantiles = replica.under_way.mean(axis=1), np.linspace(0, 1, replica.under_way.shape[1])
    tails = np.array([replica.p99_ms(rate) for rate in replica.rates_per_s])
    for now_s, rate in enumerate(rates_per_s.tolist()):
        serving = [pod for pod in pods if pod.ready_s <= now_s]
        replicas[now_s], ready[now_s] = len(pods), len(serving)
        if serving:
            each = rate / len(serving)
            low, part = replica.place(each)
            mixed = _between(low, part)
            refused[now_s], busy[now_s] = mixed(replica.refused), mixed(replica.busy)
            under_way[now_s] = mixed(means) if each else 0.0
            p99_ms[now_s] = mixed(tails)
            taken = rate * (1 - refused[now_s])
            answered[low] += taken * (1 - part)
            answered[low + 1] += taken * part
            for pod in serving:
                if (now_s - pod.phase_s) % SCRAPE_S == 0:
                    row = replica.under_way[low + int(drawn.random() < part)]
                    seen_now = round(float(np.interp(drawn.random(), quantiles, row))) if each else 0
                    pod.samples.append((now_s, seen_now))
        elif rate:
            refused[now_s], p99_ms[now_s] = 1.0, float("inf")
        if now_s % SYNC_S == 0 and now_s:
            wanted = scaler.decide(
                Seen(
                    now_s=now_s,
                    ready=len(serving),
                    unready=len(pods) - len(serving),
                    under_way=_query(pods, now_s, scaler.window_s, outages),
                    reached=all(one.reached for one in outages if one.covers(now_s)),
                    busy=float(busy[max(0, now_s - 30) : max(1, now_s - 15)].mean()),
                )
            )
            # Those that serve for longest stay: Kubernetes ends those that are not ready first, then the youngest.
            del pods[wanted:]
            new = range(wanted - len(pods))
            pods += [_Pod(ready_s=now_s + cold_start_s, phase_s=int(drawn.integers(SCRAPE_S))) for _ in new]
    return Lived(
        name=scaler.name,
        rate_per_s=rates_per_s,
        replicas=replicas,
        ready=ready,
        under_way=under_way,
        refused=refused,
        p99_ms=p99_ms,
        day_p99_ms=replica.mixed_ms(answered, 0.99),
    )


def _between(low: int, part: float) -> Any:
    return lambda curve: (1 - part) * curve[low] + part * curve[low + 1]


def _query(pods: list[_Pod], now_s: int, window_s: int, outages: Collection[Outage]) -> float | None:
    """The sum over the replicas; None where no replica has a value, or Prometheus gives none."""
    if any(one.covers(now_s) for one in outages):
        return None
    values = [value for pod in pods if (value := pod.gauge(now_s, window_s)) is not None]
    return sum(values) if values else None
