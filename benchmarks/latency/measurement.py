"""How long one request takes on an idle server, and how many a second it answers with several in flight.

Closed loop: a client sends its next request when the last one is answered. That answers "how fast is it for me" and
"how much can it do", not "what do users see at a given rate".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common.articles import settings_of
from benchmarks.common.machine import this_machine
from infolens import Article, Client, InfoLensError, Report, SummaryOptions
from infolens.contract import CONTRACTS, INFO_LENS, Task

from .config import LatencyConfig


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Latency of one kind of request at one client, in milliseconds."""

    kind: str
    requests: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """What the server did with several requests in flight."""

    in_flight: int
    requests: int
    lost: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def _time(call: Callable[[], object], count: int) -> list[float]:
    times_ms = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times_ms.append(1e3 * (time.perf_counter() - start))
    return times_ms


def _options(config: LatencyConfig) -> SummaryOptions | None:
    """What the client is told of `LatencyConfig.settings`; None where nothing is set.

    Raises:
        InvalidSettingError: A value is out of its range.
    """
    known = settings_of(*Task)
    words: dict[str, Any] = {
        name: known[name].choices[int(value)]
        if known[name].choices
        else int(value)
        if known[name].dtype == "INT32"
        else value
        for name, value in config.settings.items()
    }
    return SummaryOptions(**words) if words else None


def measure_latency(client: Client, article: Article, config: LatencyConfig) -> list[Timing]:
    """Time ``info_lens`` and each task alone, taking turns, so that a noisy minute touches all of them alike.

    A task that is not asked for by default counts only where the server has it.
    """
    has = client.status(timeout_s=config.deadline_s).models

    def ask(*tasks: Task) -> Report:
        # Settings are refused where none of the tasks has them.
        options = _options(config) if not tasks or any(CONTRACTS[task].settings for task in tasks) else None
        return client.analyze(article, tasks=tasks or None, options=options, timeout_s=config.deadline_s)

    kinds: dict[str, Callable[[], object]] = {
        INFO_LENS: ask,
        **{
            task.value: partial(ask, task)
            for task, contract in CONTRACTS.items()
            if contract.by_default or has.get(contract.ensemble)
        },
    }
    for call in kinds.values():
        _time(call, config.warmup_requests)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    turn = max(1, config.requests // 10)
    while len(times[INFO_LENS]) < config.requests:
        for kind, call in kinds.items():
            times[kind] += _time(call, min(turn, config.requests - len(times[kind])))
    return [
        Timing(
            kind=kind,
            requests=len(found),
            p50_ms=float(np.percentile(found, 50)),
            p90_ms=float(np.percentile(found, 90)),
            p99_ms=float(np.percentile(found, 99)),
            max_ms=max(found),
        )
        for kind, found in times.items()
    ]


def measure_throughput(client: Client, articles: Sequence[Article], config: LatencyConfig) -> Throughput:
    """Send ``load_requests`` of ``info_lens`` with ``in_flight`` under way; an error counts as lost, never as fast.

    Raises:
        InfoLensError: the server answers none of them.
    """
    from concurrent.futures import ThreadPoolExecutor

    options = _options(config)

    def one(index: int) -> tuple[float, Report | InfoLensError]:
        start = time.perf_counter()
        try:
            answer: Report | InfoLensError = client.analyze(
                articles[index % len(articles)], options=options, timeout_s=config.deadline_s
            )
        except InfoLensError as error:
            answer = error
        return 1e3 * (time.perf_counter() - start), answer

    with ThreadPoolExecutor(config.in_flight) as pool:
        list(pool.map(one, range(config.in_flight * 4)))
        started = time.perf_counter()
        results = list(pool.map(one, range(config.load_requests)))
        elapsed_s = time.perf_counter() - started
    answered = [ms for ms, answer in results if isinstance(answer, Report)]
    if not answered:
        raise next(answer for _, answer in results if isinstance(answer, InfoLensError))
    return Throughput(
        in_flight=config.in_flight,
        requests=len(results),
        lost=len(results) - len(answered),
        requests_per_s=len(answered) / elapsed_s,
        p50_ms=float(np.percentile(answered, 50)),
        p99_ms=float(np.percentile(answered, 99)),
    )


def report(timings: Sequence[Timing], load: Throughput, article: Article) -> tuple[str, dict[str, object]]:
    """A Markdown table for people and a JSON document for programs."""
    machine, words = this_machine(), len(article.text.split())
    answered = (
        f"{load.requests - load.lost} of {load.requests} were answered"
        if load.lost
        else f"all {load.requests} were answered"
    )
    lines = [
        f"{machine}; one article of {words} words, gRPC, response cache off",
        "",
        "| request | p50 ms | p90 ms | p99 ms | max ms | requests |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {t.kind} | {t.p50_ms:.1f} | {t.p90_ms:.1f} | {t.p99_ms:.1f} | {t.max_ms:.1f} | {t.requests} |"
            for t in timings
        ),
        "",
        f"{load.in_flight} in flight, closed loop, articles of different lengths: {load.requests_per_s:.1f} info_lens "
        f"requests/s, p50 {load.p50_ms:.0f} ms, p99 {load.p99_ms:.0f} ms, {answered}",
    ]
    document = {
        "machine": asdict(machine),
        "article_words": words,
        "latency": [asdict(t) for t in timings],
        "throughput": asdict(load),
    }
    return "\n".join(lines), document
