"""KEDA's ScaledObject, as far as it decides how many replicas there are: read from the very file that is applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.common.server import ROOT, BenchmarkError

from .hpa import KINDS, SELECTIONS, Behaviour, Policy, Rules

COMMITTED: Final = ROOT / "k8s" / "components" / "autoscaling" / "scaled-object.yaml"
GAUGES: Final = ("infolens_waiting_room_running", "infolens_waiting_room_waiting")
"""What is summed: requests that run, and requests that wait."""
FALLBACKS: Final = ("static", "currentReplicasIfHigher")
_WINDOW: Final = re.compile(r"avg_over_time\([^\[]*\[(\d+)([sm])\]\)")
_SECONDS: Final = {"s": 1, "m": 60}


@dataclass(frozen=True, kw_only=True)
class ScaledObject:
    """The numbers of a ScaledObject with one trigger of Prometheus."""

    threshold: float
    """Requests under way for each replica."""
    window_s: int
    """Over which each replica's gauge is averaged; 0 takes its last value."""
    ignore_null: bool
    """Whether an empty answer of Prometheus counts as 0, and not as a failure."""
    minimum: int
    maximum: int
    polling_s: int
    cached: bool
    """Whether the autoscaler is given what KEDA read at its last poll, and not what is true when it asks."""
    failures: int
    """So many failures in a row are endured; the next one begins the fallback."""
    fallback: int
    """Replicas of the fallback."""
    fallback_keeps: bool
    """Whether more replicas than that stay (``currentReplicasIfHigher``)."""
    behaviour: Behaviour

    def fallback_replicas(self, current: int) -> int:
        """Replicas that are asked for while the metric is lost."""
        return max(self.fallback, current) if self.fallback_keeps else self.fallback


def read_scaled_object(path: Path = COMMITTED) -> ScaledObject:
    """Read a manifest.

    Raises:
        BenchmarkError: It cannot be read, or it is none that can be simulated.
    """
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        (trigger,) = spec["triggers"]
        if (trigger["type"], trigger["metricType"]) != ("prometheus", "AverageValue"):
            raise ValueError("its trigger is one of Prometheus with metricType AverageValue")
        asked = trigger["metadata"]
        return ScaledObject(
            threshold=_above_zero(asked["threshold"]),
            window_s=_window_s(asked["query"]),
            ignore_null=_word(asked.get("ignoreNullValues", "true"), ("true", "false")) == "true",
            minimum=int(spec["minReplicaCount"]),
            maximum=int(spec["maxReplicaCount"]),
            polling_s=int(spec["pollingInterval"]),
            cached=bool(trigger.get("useCachedMetrics", False)),
            failures=int(spec["fallback"]["failureThreshold"]),
            fallback=int(spec["fallback"]["replicas"]),
            fallback_keeps=_word(spec["fallback"].get("behavior", "static"), FALLBACKS) != "static",
            behaviour=_behaviour(spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]),
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BenchmarkError(
            f"{path} is no ScaledObject that can be simulated ({type(error).__name__}: {error}); "
            f"write it as {COMMITTED.relative_to(ROOT)} is written"
        ) from error


def _behaviour(both: Mapping[str, Any]) -> Behaviour:
    return Behaviour(up=_rules(both["scaleUp"]), down=_rules(both["scaleDown"]))


def _rules(one: Mapping[str, Any]) -> Rules:
    return Rules(
        stabilization_s=int(one["stabilizationWindowSeconds"]),
        policies=tuple(
            Policy(kind=_word(policy["type"], KINDS), value=int(policy["value"]), period_s=int(policy["periodSeconds"]))
            for policy in one["policies"]
        ),
        select=_word(one.get("selectPolicy", "Max"), SELECTIONS),
    )


def _window_s(query: str) -> int:
    """The window of a query: one for both gauges, or none."""
    if missing := [name for name in GAUGES if name not in query]:
        raise ValueError(f"its query sums {' and '.join(GAUGES)}, but {' and '.join(missing)} is not in it")
    found = [int(number) * _SECONDS[unit] for number, unit in _WINDOW.findall(query)]
    if len(set(found)) > 1 or query.count("_over_time") != len(found) or len(found) not in (0, len(GAUGES)):
        raise ValueError("its query takes the last values, or avg_over_time of one window in seconds or minutes")
    return found.pop() if found else 0


def _above_zero(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"its threshold is a number above 0, not {value}")
    return number


def _word(value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"one of {', '.join(known)} was expected, not {value!r}")
    return value
