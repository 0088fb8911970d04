"""Which days are lived: the ways of scaling side by side, and the ScaledObject with other numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from benchmarks.capacity.deployed import replicas

from .day import Day, clock
from .fleet import Lived, Outage, live
from .replica import Replica
from .scaled_object import ScaledObject
from .scalers import ByCPU, ByScaledObject, Fixed, Scaler

SEEDS: Final = 3
"""Each way lives the day so often, with other scrapes."""
CPU_TARGETS: Final = (0.7, 0.5)
"""The first is near the busy share of a replica at 80 % of its highest rate, so that as much is kept free as by the
threshold; the second comes to about as many replica hours."""
THRESHOLDS: Final = (1.0, 2.5, 4.0, 8.0, 12.0)
WINDOWS_S: Final = (0, 30, 60, 180)
STABILIZATIONS_S: Final = (300, 900, 1800)
COLD_STARTS_S: Final = (60, 180)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of scaling; means over `SEEDS` days."""

    name: str
    days: tuple[Lived, ...]

    def mean(self, figure: str) -> float:
        """A figure of `Lived`."""
        return float(np.mean([getattr(day, figure) for day in self.days]))

    @property
    def most(self) -> int:
        """Replicas at any moment."""
        return int(max(day.replicas.max() for day in self.days))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that the page shows."""

    day: Day
    replica: Replica
    numbers: ScaledObject
    cold_start_s: int
    usual_peak_per_s: float
    ways: tuple[Row, ...]
    """The ScaledObject is the last one."""
    others: tuple[Row, ...]
    """The ScaledObject with one thing changed."""

    @property
    def ours(self) -> Row:
        """The ScaledObject as written."""
        return self.ways[-1]


def usual_peak_per_s(day: Day) -> float:
    """The rate that 95 of 100 seconds keep: a burst of an hour is not usual."""
    return float(np.percentile(day.rates_per_s, 95, method="inverted_cdf"))


def compare(
    day: Day, replica: Replica, numbers: ScaledObject, *, cold_start_s: int, seeds: Sequence[int] = range(SEEDS)
) -> Comparison:
    """Live the day in all ways: about a second each."""
    rates, usual = day.rates_per_s, usual_peak_per_s(day)

    def row(name: str, make: Callable[[], Scaler], **changed: Any) -> Row:
        told = {"cold_start_s": cold_start_s, **changed}
        lived = Row(name=name, days=tuple(live(rates, replica, make(), seed=seed, **told) for seed in seeds))
        log.info("%s: %.3f %% refused", name, 100 * lived.mean("refused_share"))
        return lived

    def fixed(name: str, rate_per_s: float) -> Row:
        count = replicas(rate_per_s, replica.highest_per_s) or 1
        return row(f"{count} always, {name}", lambda: Fixed(name=name, start=count))

    def by_cpu(target: float) -> Row:
        return row(
            f"the CPU at {100 * target:.0f} %, with Kubernetes' defaults",
            lambda: ByCPU(minimum=numbers.minimum, maximum=numbers.maximum, target=target),
        )

    def ours(name: str, *, of: ScaledObject = numbers, **changed: Any) -> Row:
        return row(name, lambda: ByScaledObject(of), **changed)

    def stabilized(seconds: int) -> ScaledObject:
        down = replace(numbers.behaviour.down, stabilization_s=seconds)
        return replace(numbers, behaviour=replace(numbers.behaviour, down=down))

    busiest_s = int(day.second_s[int(np.argmax(rates))])
    away = Outage(begin_s=busiest_s - 4 * 3600, end_s=busiest_s - 3 * 3600)
    away_in_burst = Outage(begin_s=busiest_s - 600, end_s=busiest_s + 3000)
    return Comparison(
        day=day,
        replica=replica,
        numbers=numbers,
        cold_start_s=cold_start_s,
        usual_peak_per_s=usual,
        ways=(
            fixed("for the usual peak", usual),
            fixed("for the burst", float(rates.max())),
            *(by_cpu(target) for target in CPU_TARGETS),
            ours("**the ScaledObject**"),
        ),
        others=(
            *(ours(f"threshold {one:g}", of=replace(numbers, threshold=one))
              for one in THRESHOLDS if one != numbers.threshold),
            *(ours(f"gauges averaged over {one} s" if one else "gauges not averaged", of=replace(numbers, window_s=one))
              for one in WINDOWS_S if one != numbers.window_s),
            *(ours(f"scale-down looks {one} s back", of=stabilized(one))
              for one in STABILIZATIONS_S if one != numbers.behaviour.down.stabilization_s),
            *(ours(f"a new replica serves after {one} s", cold_start_s=one)
              for one in COLD_STARTS_S if one != cold_start_s),
            *(ours(f"Prometheus away {clock(one.begin_s)} to {clock(one.end_s)}", outages=(one,))
              for one in (away, away_in_burst) if one.begin_s >= 0),
        ),
    )  # fmt: skip
