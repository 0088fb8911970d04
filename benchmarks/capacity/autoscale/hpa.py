"""The algorithm of Kubernetes' HorizontalPodAutoscaler, as its documentation and its controller have it.

Source: "Horizontal Pod Autoscaling", sections "Algorithm details" and "Configurable scaling behavior", in the
documentation of Kubernetes, and the functions `stabilizeRecommendationWithBehaviors` and
`convertDesiredReplicasWithBehaviorRate` of its controller (pkg/controller/podautoscaler/horizontal.go) for the order
of the steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SYNC_S: Final = 15
"""Seconds from one look to the next: the controller's default."""
TOLERANCE: Final = 0.1
"""Relative distance from the target within which nothing changes: the controller's default."""
KINDS: Final = ("Pods", "Percent")
SELECTIONS: Final = ("Max", "Min", "Disabled")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How much may change within a period."""

    kind: str
    """One of `KINDS`."""
    value: int
    """Pods, or percent of the pods at the beginning of the period."""
    period_s: int


@dataclass(frozen=True, kw_only=True)
class Rules:
    """One direction."""

    stabilization_s: int
    """The most cautious recommendation of this time is the one that counts."""
    policies: tuple[Policy, ...]
    select: str = "Max"
    """One of `SELECTIONS`: whether the policy counts that allows the largest change, or the smallest, or none does."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Both directions."""

    up: Rules
    down: Rules


DEFAULT: Final = Behaviour(
    up=Rules(
        stabilization_s=0,
        policies=(Policy(kind="Percent", value=100, period_s=15), Policy(kind="Pods", value=4, period_s=15)),
    ),
    down=Rules(stabilization_s=300, policies=(Policy(kind="Percent", value=100, period_s=15),)),
)
"""What Kubernetes does where nothing is said."""


def by_average(total: float, target: float, current: int, *, tolerance: float = TOLERANCE) -> int:
    """Replicas by a metric of all pods together (``AverageValue``).

    Args:
        total: The metric, summed over all pods.
        target: What each pod is to have of it.
        current: Pods, ready or not.
        tolerance: Relative distance from the target within which nothing changes.
    """
    if current and abs(total / (target * current) - 1) <= tolerance:
        return current
    # Not one more because of the last binary digit.
    return math.ceil(total / target - 1e-9)


def by_utilization(used: float, target: float, *, ready: int, unready: int, tolerance: float = TOLERANCE) -> int:
    """Replicas by the CPU's utilization.

    Pods that are not ready count as idle when there are to be more, so that those which come are not ordered twice.

    Args:
        used: Mean utilization of the ready pods, relative to their request.
        target: What it should be.
        ready: Pods that serve.
        unready: Pods that start.
        tolerance: Relative distance from the target within which nothing changes.
    """
    current, ratio = ready + unready, used / target
    if not ready or abs(ratio - 1) <= tolerance:
        return current
    if unready and ratio > 1:
        ratio = ratio * ready / current
        if ratio <= 1 + tolerance:
            return current
        return math.ceil(ratio * current - 1e-9)
    return math.ceil(ratio * ready - 1e-9)


class Autoscaler:
    """What becomes of recommendations: stabilised, held to the policies, and between the least and the most.

    Args:
        behaviour: Windows and policies of both directions.
        minimum: Least replicas.
        maximum: Most replicas.
    """

    def __init__(self, behaviour: Behaviour, *, minimum: int, maximum: int) -> None:
        self._behaviour, self._minimum, self._maximum = behaviour, minimum, maximum
        self._recommended: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []

    def decide(self, now_s: float, current: int, recommended: int) -> int:
        """The number of replicas from now on.

        Args:
            now_s: The time; never before that of an earlier call.
            current: Replicas now.
            recommended: What the metric asks for.
        """
        if not self._recommended:
            self._recommended.append((now_s, current))
        wanted = self._stabilise(now_s, current, recommended)
        self._recommended.append((now_s, recommended))
        if wanted > current:
            limit = max(current, self._limit(now_s, current, self._behaviour.up, sign=1))
            decided = min(wanted, limit, self._maximum)
        elif wanted < current:
            limit = min(current, self._limit(now_s, current, self._behaviour.down, sign=-1))
            decided = max(wanted, limit, self._minimum)
        else:
            decided = current
        decided = min(max(decided, self._minimum), self._maximum)
        if decided != current:
            self._changes.append((now_s, decided - current))
        return decided

    def _stabilise(self, now_s: float, current: int, recommended: int) -> int:
        up, down = self._behaviour.up.stabilization_s, self._behaviour.down.stabilization_s
        kept = max(up, down)
        self._recommended = [one for one in self._recommended if one[0] > now_s - kept]
        least = min([recommended, *(n for at_s, n in self._recommended if at_s > now_s - up)])
        most = max([recommended, *(n for at_s, n in self._recommended if at_s > now_s - down)])
        return min(max(current, least), most)

    def _limit(self, now_s: float, current: int, rules: Rules, *, sign: int) -> int:
        """The most, or the least, that the policies of a direction allow now."""
        if rules.select == "Disabled":
            return current
        limits = []
        for policy in rules.policies:
            began = current - sum(change for at_s, change in self._changes if at_s > now_s - policy.period_s)
            if policy.kind == "Pods":
                limits.append(began + sign * policy.value)
            elif sign > 0:
                limits.append(math.ceil(began * (1 + policy.value / 100) - 1e-9))
            else:
                limits.append(int(began * (1 - policy.value / 100) + 1e-9))
        widest = max if (sign > 0) is (rules.select == "Max") else min
        return widest(limits)
