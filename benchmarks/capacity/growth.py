"""Measurements of how cost grows: with cores, with the length of articles, with beams and with the summary's length."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from benchmarks.common.articles import Articles
from benchmarks.common.closed_loop import closed_loop_per_s
from benchmarks.common.machine import this_machine
from benchmarks.common.metrics import read_counters, stages
from benchmarks.common.open_loop import Arrivals, run
from benchmarks.common.served import Served, asked_together, serving_now
from benchmarks.common.server import BenchmarkError, Started, started_server
from benchmarks.common.wire import RequestOutcome
from infolens import Article, Client
from infolens.contract import LENGTH_BUCKETS

from .cpu_time import CpuTime
from .data import TYPICAL_WORDS, Check, Measured
from .service_times import (
    MEASURED_LENGTHS_WORDS,
    Sample,
    ServiceTimes,
    chains_of,
    edges_words,
    per_request,
    stages_of,
)

IN_FLIGHT: Final = 16
ALONE_PER_S: Final = 8.0
BEAMS: Final = (1, 2, 4, 8)
SUMMARY_TOKENS: Final = (16, 32, 64, 128)
CHECKED_SHARES: Final = (0.3, 0.55, 0.75, 0.9)
"""Rates of the check, relative to what the server answers when it is full."""
ROUNDS: Final = 2
"""Turns of every point at full load, one after another, so that a drift of the machine meets all of them."""

log = logging.getLogger(__name__)


@dataclass
class _Point:
    """One setting at full load, over its rounds."""

    words: int | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


@contextlib.contextmanager
def pinned_server(cores: int) -> Iterator[Started]:
    """A server that may use only so many cores; this process keeps all of them.

    Raises:
        BenchmarkError: There are fewer cores, or the server could not be started.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if not 0 < cores <= len(allowed):
        raise BenchmarkError(f"a server gets 1 to {len(allowed)} cores, as many as this process has, not {cores}")
    with contextlib.ExitStack() as stack:
        # A child inherits what its parent may use at the moment of its start.
        os.sched_setaffinity(0, allowed[-cores:])
        try:
            server = stack.enter_context(started_server())
        finally:
            os.sched_setaffinity(0, allowed)
        yield server


def measure(seconds: float) -> Measured:
    """Measure everything: about 31 times ``seconds``, and a minute and a half for warm-ups and starts.

    Raises:
        BenchmarkError: A server could not be started, or did not answer.
        ServerError: It does not say which models serve its tasks.
    """
    cores = len(os.sched_getaffinity(0))
    by_cores: dict[int, Sample] = {}
    checks: list[Check] = []
    with pinned_server(cores) as server:
        served = asked_together(serving_now(server.grpc_url))
        names = stages_of(chains_of(served))
        edges = _edges(server, served)
        alone = tuple(_alone(server, words, seconds, names) for words in MEASURED_LENGTHS_WORDS)
        points = {
            **{("words", words): _Point(words=words) for words in MEASURED_LENGTHS_WORDS},
            **{("beams", n): _Point(words=TYPICAL_WORDS, settings={"num_beams": n}) for n in BEAMS},
            # Minimum and maximum are equal, so that is the length.
            **{
                ("tokens", n): _Point(words=TYPICAL_WORDS, settings={"min_length": n, "max_length": n})
                for n in SUMMARY_TOKENS
            },
            ("cores", cores): _Point(),
        }
        for turn in range(ROUNDS):
            for (name, value), point in points.items():
                point.samples.append(_full(server, point, seconds / ROUNDS, names, seed=turn))
                log.info(
                    "full load, %s %d: %.1f requests/s, %.1f ms of CPU each", name, value,
                    point.samples[-1].answered_per_s, point.samples[-1].server_ms,
                )  # fmt: skip
        full = {key: _merge(point.samples) for key, point in points.items()}
        by_cores[cores] = full["cores", cores]
        checks += _checks(server, cores, by_cores[cores].answered_per_s, seconds)
    if cores > 1:
        log.info("starting a server on 1 core")
        with pinned_server(1) as server:
            by_cores[1] = _full(server, _Point(), seconds, names, seed=0)
            log.info("full load, 1 core: %.1f requests/s", by_cores[1].answered_per_s)
            checks += _checks(server, 1, by_cores[1].answered_per_s, seconds)
    return Measured(
        machine=this_machine(),
        day=date.today(),
        seconds=seconds,
        times=ServiceTimes(
            chains=chains_of(served),
            alone=alone,
            full=tuple(full["words", words] for words in MEASURED_LENGTHS_WORDS),
            edges_words=edges,
        ),
        by_beams={n: full["beams", n] for n in BEAMS},
        by_summary_tokens={n: full["tokens", n] for n in SUMMARY_TOKENS},
        by_cores=dict(sorted(by_cores.items())),
        checks=tuple(checks),
    )


def _edges(server: Started, served: Served) -> dict[str, tuple[float, ...]]:
    words = max(MEASURED_LENGTHS_WORDS)
    with Client(server.grpc_url) as client:
        readings = client.analyze(next(Articles(words=words))).readings
    return {
        served[task].name: edges_words(
            words,
            reading.tokens,
            reading.tokens - reading.truncated_tokens if reading.truncated else None,
            LENGTH_BUCKETS,
        )
        for task, reading in readings.items()
    }


def _alone(server: Started, words: int, seconds: float, names: Sequence[str]) -> Sample:
    arrivals = Arrivals(rate_per_s=ALONE_PER_S, seconds=seconds, warmup_s=1.0, seed=words)
    with CpuTime(server.pid).running() as cpu:
        found = run(server.grpc_url, Articles(words=words, seed=words), arrivals)
    if found.lost:
        raise BenchmarkError(
            f"{found.lost} of {len(found.sent)} requests were not answered at {ALONE_PER_S:g} a second: measure when "
            "nothing else runs"
        )
    # The warm-up's requests took their CPU time, too.
    requests = len(arrivals.due_s())
    sample = Sample(
        words=words,
        requests=requests,
        answered_per_s=found.answered_per_s,
        cpu_ms=per_request(cpu.cpu_s, requests, names),
        batches={},
        others_cores=cpu.others_cores,
    )
    log.info("%g requests/s of %d words: %.1f ms of CPU each", ALONE_PER_S, words, sample.server_ms)
    return sample


def _full(server: Started, point: _Point, seconds: float, names: Sequence[str], *, seed: int) -> Sample:
    articles = Articles(words=point.words, seed=seed)
    before: dict[str, Mapping[str, float]] = {}
    cpu = CpuTime(server.pid)

    @contextlib.contextmanager
    def watched() -> Iterator[None]:
        before.update(read_counters(server.metrics_url))
        with cpu.running():
            yield

    answered_per_s = closed_loop_per_s(
        server.grpc_url,
        articles,
        in_flight=IN_FLIGHT,
        seconds=seconds,
        warmup_s=min(1.0, seconds / 4),
        settings=point.settings,
        watched=watched(),
    )
    answered = round(answered_per_s * seconds)
    return Sample(
        words=point.words or _mean_words(seed),
        requests=answered,
        answered_per_s=answered_per_s,
        cpu_ms=per_request(cpu.cpu_s, answered, names),
        batches={stage.model: stage.batch for stage in stages(before, read_counters(server.metrics_url))},
        others_cores=cpu.others_cores,
    )


def _mean_words(seed: int) -> int:
    articles: Iterator[Article] = Articles(seed=seed)
    return round(float(np.mean([len(next(articles).text.split()) for _ in range(500)])))


def _merge(samples: list[Sample]) -> Sample:
    """The mean of all rounds, by requests; the rate is the best one's, since whatever disturbs can only lower it."""
    weights = [one.requests for one in samples]

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=weights))

    return Sample(
        words=round(mean([one.words for one in samples])),
        requests=sum(weights),
        answered_per_s=max(one.answered_per_s for one in samples),
        cpu_ms={name: mean([one.cpu_ms[name] for one in samples]) for name in samples[0].cpu_ms},
        batches={name: mean([one.batches.get(name, 1.0) for one in samples]) for name in samples[0].batches},
        others_cores=mean([one.others_cores for one in samples]),
    )


def _checks(server: Started, cores: int, full_per_s: float, seconds: float) -> list[Check]:
    found = []
    for number, share in enumerate(CHECKED_SHARES):
        arrivals = Arrivals(
            rate_per_s=round(share * full_per_s, 1), seconds=seconds, warmup_s=min(2.0, seconds / 4), seed=100 + number
        )
        with CpuTime(server.pid).running() as cpu:
            measured = run(server.grpc_url, Articles(seed=arrivals.seed), arrivals)
        latency_ms = [one.latency_ms for one in measured.sent if one.outcome is RequestOutcome.ANSWERED]
        if not latency_ms:
            raise BenchmarkError(
                f"no request was answered at {arrivals.rate_per_s:g} a second: {_why(measured.reasons)}"
            )
        p50, p99 = np.percentile(latency_ms, (50, 99), method="inverted_cdf")
        found.append(
            Check(
                cores=cores,
                rate_per_s=arrivals.rate_per_s,
                seconds=seconds,
                warmup_s=arrivals.warmup_s,
                seed=arrivals.seed,
                sent=len(measured.sent),
                lost=measured.lost,
                p50_ms=float(p50),
                p99_ms=float(p99),
                others_cores=cpu.others_cores,
            )
        )
        log.info(
            "check, %d cores, %.1f requests/s: p50 %.0f ms, p99 %.0f ms, %d of %d not answered", cores,
            arrivals.rate_per_s, p50, p99, measured.lost, len(measured.sent),
        )  # fmt: skip
    return found


def _why(reasons: Mapping[str, int]) -> str:
    return "; ".join(reason for reason, _ in Counter(reasons).most_common(2)) or "all were refused as too many"
