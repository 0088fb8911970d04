"""Who says how many replicas there are: a fixed number, the CPU's use, or the ScaledObject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .hpa import DEFAULT, Autoscaler, by_average, by_utilization
from .scaled_object import ScaledObject


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an autoscaler can know at a moment."""

    now_s: int
    ready: int
    unready: int
    under_way: float | None
    """The query's answer: requests that run or wait, of all replicas; None where there is none."""
    reached: bool
    """Whether Prometheus answered at all."""
    busy: float
    """Mean utilization of the ready replicas' cores, 15 to 30 s ago."""

    @property
    def current(self) -> int:
        """Replicas, ready or not."""
        return self.ready + self.unready


class Scaler(Protocol):
    """A way of scaling."""

    name: str
    start: int
    """Replicas at the beginning of the day, all ready."""
    window_s: int
    """Over which each replica's gauge is averaged; 0 takes its last value."""

    def decide(self, seen: Seen) -> int:
        """Replicas from now on; asked every `hpa.SYNC_S` seconds."""
        ...


@dataclass(kw_only=True)
class Fixed:
    """Always as many."""

    name: str
    start: int
    window_s: int = 0

    def decide(self, seen: Seen) -> int:
        """As many as there are."""
        return seen.current


class ByCPU:
    """A HorizontalPodAutoscaler on the CPU, with what Kubernetes does by default.

    Args:
        minimum: Least replicas.
        maximum: Most replicas.
        target: Utilization of the requested cores.
    """

    window_s = 0

    def __init__(self, *, minimum: int, maximum: int, target: float) -> None:
        self.name, self.start, self._target = f"CPU at {100 * target:.0f} %", minimum, target
        self._autoscaler = Autoscaler(DEFAULT, minimum=minimum, maximum=maximum)

    def decide(self, seen: Seen) -> int:
        """By the mean utilization."""
        wanted = by_utilization(seen.busy, self._target, ready=seen.ready, unready=seen.unready)
        return self._autoscaler.decide(seen.now_s, seen.current, wanted)


class ByScaledObject:
    """KEDA's part: the query's answer is handed to the autoscaler, or the fallback where there is none.

    Source: KEDA's documentation, "ScaledObject specification" (pollingInterval, fallback) and "Prometheus"
    (ignoreNullValues). Failures are counted at each look.
    """

    def __init__(self, numbers: ScaledObject, *, name: str = "the ScaledObject") -> None:
        self.name, self.start, self.window_s = name, numbers.minimum, numbers.window_s
        self._numbers = numbers
        self._autoscaler = Autoscaler(numbers.behaviour, minimum=numbers.minimum, maximum=numbers.maximum)
        self._failures = 0
        self._polled_s, self._polled = -(10**9), 0.0

    def decide(self, seen: Seen) -> int:
        """By the metric; without one nothing changes until the fallback begins."""
        total = self._total(seen)
        if total is None:
            return seen.current
        wanted = by_average(total, self._numbers.threshold, seen.current)
        return self._autoscaler.decide(seen.now_s, seen.current, wanted)

    def _total(self, seen: Seen) -> float | None:
        numbers = self._numbers
        if numbers.cached and seen.now_s - self._polled_s < numbers.polling_s:
            return self._polled
        value = seen.under_way
        if seen.reached and value is None and numbers.ignore_null:
            value = 0.0
        if not seen.reached or value is None:
            self._failures += 1
            if self._failures <= numbers.failures:
                return None
            return numbers.threshold * numbers.fallback_replicas(seen.current)
        self._failures, self._polled_s, self._polled = 0, seen.now_s, value
        return value
