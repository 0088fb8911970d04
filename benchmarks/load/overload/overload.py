"""Overload: several times more requests than a server can answer, some of them from callers who do not wait.

A server that stays upright refuses what it cannot answer in time, at once; goes on answering as much as it can; does
no work for callers who have left; keeps its memory; and is back as soon as the load is.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.common.articles import Articles
from benchmarks.common.closed_loop import closed_loop_per_s
from benchmarks.common.metrics import Stage, read_counters, read_door, stages
from benchmarks.common.open_loop import Arrivals, Due, Run, Sent, poisson, send
from benchmarks.common.processes import ProcessWatch
from benchmarks.common.served import asked_together, serving_now
from benchmarks.common.server import Target
from benchmarks.common.wire import RequestOutcome, encode
from infolens.contract import INFO_LENS, AnswerKind

from .config import OverloadConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Overload:
    """What became of a server that was asked for too much."""

    config: OverloadConfig
    peak_per_s: float
    """Answers a second with 16 requests under way: what it can do."""
    run: Run
    """All requests: those of the calm, of the overload, and of the calm after it."""
    memory: tuple[tuple[float, int], ...]
    """Seconds from the start of the calm, and bytes of all processes of the server."""
    stages: tuple[Stage, ...]
    writers: tuple[str, ...]
    """The models that write texts for the answers, which is by far the largest part of the work."""
    healed: int = 0
    """How often Triton was started again or a model loaded anew meanwhile."""

    def between(self, begin_s: float, end_s: float, *outcomes: RequestOutcome) -> list[Sent]:
        """Requests that were due in a time, with one of ``outcomes`` (any when none is given)."""
        return [
            one for one in self.run.sent if begin_s <= one.due_s < end_s and (not outcomes or one.outcome in outcomes)
        ]

    @property
    def overload_s(self) -> tuple[float, float]:
        """Begin and end of the overload."""
        return self.config.calm_s, self.config.calm_s + self.config.seconds

    @property
    def goodput_per_s(self) -> float:
        """Answers a second during the overload, its first second left out."""
        begin_s, end_s = self.overload_s
        begin_s += min(1.0, self.config.seconds / 4)
        return len(self.between(begin_s, end_s, RequestOutcome.ANSWERED)) / (end_s - begin_s)

    @property
    def goodput_share(self) -> float:
        """Goodput as a share of what the server can do."""
        return self.goodput_per_s / self.peak_per_s

    def latency_ms(self, outcome: RequestOutcome, percentile: float) -> float:
        """A percentile over the requests of the overload with this outcome, in milliseconds; 0 when there are none."""
        found = [one.latency_ms for one in self.between(*self.overload_s, outcome)]
        return float(np.percentile(found, percentile)) if found else 0.0

    @property
    def recovery_s(self) -> float:
        """Seconds from the end of the overload to the first second that is as before, infinite when there is none.

        As before: every request of that second is answered, half of them in at most 1.5 times the median before.
        """
        end_s = self.overload_s[1]
        before = [one.latency_ms for one in self.between(0, self.config.calm_s, RequestOutcome.ANSWERED)]
        bound_ms = 1.5 * float(np.median(before)) if before else 0.0
        for second in range(int(self.config.calm_s)):
            due = self.between(end_s + second, end_s + second + 1)
            answered = [one.latency_ms for one in due if one.outcome is RequestOutcome.ANSWERED]
            if due and len(answered) == len(due) and float(np.median(answered)) <= bound_ms:
                return float(second)
        return math.inf

    @property
    def memory_growth(self) -> float:
        """Maximum memory during and after the overload, relative to the maximum before it; 0.1 is 10 % more."""
        before = [used for at_s, used in self.memory if at_s < self.config.calm_s]
        later = [used for at_s, used in self.memory if at_s >= self.config.calm_s]
        return max(later) / max(before) - 1 if before and later else 0.0

    @property
    def wasted_share(self) -> float:
        """Summaries that were computed and reached nobody, as a share of all of them."""
        computed = sum(stage.requests for stage in self.stages if stage.model in self.writers)
        answered = len(self.writers) * (self.run.count(RequestOutcome.ANSWERED) + self.run.warmup_answered)
        return max(0, computed - answered) / computed if computed else 0.0


def schedule(config: OverloadConfig, peak_per_s: float) -> list[tuple[float, float | None]]:
    """When requests are due and when their callers leave: warm-up and calm, overload, calm."""
    rng = np.random.default_rng([config.seed, 2])
    calm_per_s = peak_per_s / 2
    first = poisson(rng, calm_per_s, config.warmup_s + config.calm_s)
    moments: list[tuple[float, float | None]] = [(due_s - config.warmup_s, None) for due_s in first]
    moments += [
        (config.calm_s + due_s, config.leaves_s if rng.random() < config.leaving else None)
        for due_s in poisson(rng, config.times * peak_per_s, config.seconds)
    ]
    end_s = config.calm_s + config.seconds
    return [*moments, *((end_s + due_s, None) for due_s in poisson(rng, calm_per_s, config.calm_s))]


def measure_overload(target: Target, articles: Articles, config: OverloadConfig) -> Overload:
    """Find what a server can do, then ask it for more.

    Raises:
        ValueError: ``target`` has no process or no metrics to look at.
        BenchmarkError: The server's metrics cannot be read.
        ServerError: It does not say which models serve its tasks.
    """
    if target.pid is None or target.metrics_url is None:
        raise ValueError("an overload is measured on a server that is started for it")
    peak_per_s = closed_loop_per_s(target.grpc_url, articles, seconds=config.peak_s, warmup_s=config.warmup_s)
    log.info("about %.0f answers/s with 16 in flight; now %g times as many arrive", peak_per_s, config.times)
    requests = [
        Due(
            at_s=at_s,
            body=encode(next(articles), kind=INFO_LENS, timeout_s=config.timeout_s),
            leaves_s=leaves_s,
        )
        for at_s, leaves_s in schedule(config, peak_per_s)
    ]
    arrivals = Arrivals(
        rate_per_s=config.times * peak_per_s,
        seconds=2 * config.calm_s + config.seconds,
        warmup_s=config.warmup_s,
        timeout_s=config.timeout_s,
        seed=config.seed,
    )
    served = asked_together(serving_now(target.grpc_url)).values()
    before, healed = read_counters(target.metrics_url), _healed(target)
    watch = ProcessWatch(target.pid)
    with watch.running():
        found = send(target.grpc_url, requests, arrivals)
    return Overload(
        config=config,
        peak_per_s=peak_per_s,
        run=found,
        memory=tuple((at_s - config.warmup_s, used) for at_s, used in watch.memory),
        stages=tuple(stages(before, read_counters(target.metrics_url))),
        writers=tuple(model.name for model in served if model.answers is AnswerKind.TEXT),
        healed=_healed(target) - healed,
    )


def _healed(target: Target) -> int:
    if target.door_metrics_url is None:
        raise ValueError("an overload is measured on a server whose door tells what was healed")
    counted = read_door(target.door_metrics_url)
    return counted["restarts"] + counted["heals"]


def per_second(sent: Sequence[Sent], seconds: float, outcome: RequestOutcome) -> list[int]:
    """How many of the requests that were due in each second had this outcome."""
    counts = [0] * (int(seconds) + 1)
    for one in sent:
        if one.outcome is outcome:
            counts[int(one.due_s)] += 1
    return counts
