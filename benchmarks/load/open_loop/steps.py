"""Steps: one rate after the other, and the search for the highest rate that a server holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import psutil

from benchmarks.common.articles import Articles
from benchmarks.common.metrics import Stage, read_counters, stages
from benchmarks.common.open_loop import Arrivals, Run, Watcher, run
from benchmarks.common.processes import ProcessUse, ProcessWatch
from benchmarks.common.served import Served, serving_now
from benchmarks.common.server import Target
from benchmarks.common.wire import RequestOutcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rate, measured."""

    run: Run
    stages: tuple[Stage, ...]
    processes: tuple[ProcessUse, ...]
    """The processes of the server, and the load generator as the last one."""
    memory: tuple[tuple[float, int], ...]
    """Seconds from the start of the step, and bytes of all processes of the server."""
    served: Served = field(default_factory=dict)
    """The models of each task; empty where `stages` is."""


def measure_step(target: Target, articles: Articles, arrivals: Arrivals, watcher: Watcher | None = None) -> Step:
    """Send requests at one rate, and measure the requests, the models and the processes of the server.

    Raises:
        BenchmarkError: The server's metrics cannot be read.
        ServerError: It does not say which models serve its tasks.
    """
    before = read_counters(target.metrics_url) if target.metrics_url else {}
    served = serving_now(target.grpc_url) if target.metrics_url else {}
    own = psutil.Process()
    first = own.cpu_times()
    processes: list[ProcessUse] = []
    memory: list[tuple[float, int]] = []
    if target.pid is None:
        found = run(target.grpc_url, articles, arrivals, watcher)
    else:
        with ProcessWatch(target.pid).running() as watch:
            found = run(target.grpc_url, articles, arrivals, watcher)
        processes, memory = watch.used(), watch.memory
    last = own.cpu_times()
    cpu_s = last.user + last.system - first.user - first.system
    own_bytes = own.memory_info().rss
    processes.append(
        ProcessUse(
            name="load generator",
            processes=1,
            cpu_s=cpu_s,
            cores=cpu_s / (arrivals.warmup_s + arrivals.seconds),
            memory_bytes=own_bytes,
            peak_memory_bytes=own_bytes,
        )
    )
    after = read_counters(target.metrics_url) if target.metrics_url else {}
    return Step(
        run=found,
        stages=tuple(stages(before, after)),
        processes=tuple(processes),
        memory=tuple(memory),
        served=served,
    )


def tell(step: Step) -> str:
    """One line about a step, for the log."""
    found, percentiles = step.run, step.run.percentiles_ms()
    words = (
        f"{found.arrivals.rate_per_s:6.1f} requests/s: p50 {percentiles[50.0]:.0f} ms, p99 {percentiles[99.0]:.0f} ms"
    )
    lost = {outcome.value: found.count(outcome) for outcome in RequestOutcome if outcome is not RequestOutcome.ANSWERED}
    if found.lost:
        words += (
            f", {found.lost} of {len(found.sent)} not answered ({', '.join(f'{n} {k}' for k, n in lost.items() if n)})"
        )
    return words


def measure_rates(
    target: Target,
    articles: Articles,
    arrivals: Arrivals,
    rates_per_s: Sequence[float],
    watcher: Watcher | None = None,
) -> list[Step]:
    """One step for each rate."""
    found = []
    for rate in rates_per_s:
        found.append(measure_step(target, articles, replace(arrivals, rate_per_s=rate), watcher))
        log.info("%s", tell(found[-1]))
    return found


def find_max(
    measure: Callable[[float], Step], *, p99_ms: float, guess_per_s: float, resolution: float = 0.03
) -> tuple[float, list[Step]]:
    """The highest rate at which every request is answered and the p99 stays within a bound, by bisection.

    Args:
        measure: Measures one rate.
        p99_ms: The bound.
        guess_per_s: About what the server can do at all.
        resolution: The search ends when the highest rate that held and the lowest that did not are so near, relative
            to the guess.

    Returns:
        The highest rate that held, 0 when none did, and all steps in the order in which they were measured.
    """
    steps: list[Step] = []

    def holds(rate: float) -> bool:
        steps.append(measure(rate))
        log.info("%s: %s", tell(steps[-1]), "holds" if steps[-1].run.holds(p99_ms) else "does not hold")
        return steps[-1].run.holds(p99_ms)

    low, high = 0.0, 0.0
    # Low rates first: they draw the flat part of the curve, and find a server that holds nothing.
    for share in (0.25, 0.5, 0.75):
        if holds(share * guess_per_s):
            low = share * guess_per_s
        else:
            high = share * guess_per_s
            break
    step = 0.2 * guess_per_s
    while not high:
        if holds(low + step):
            low += step
            step *= 1.5
        else:
            high = low + step
    while high - low > resolution * guess_per_s:
        middle = (low + high) / 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, steps
