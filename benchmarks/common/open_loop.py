"""Open loop: requests arrive when they are due, whether or not the server has answered the ones before.

Arrivals are a Poisson process, as those of many people who know nothing of each other. A latency is counted from the
moment when a request was due, not from when it could be sent: a server (or a generator) that falls behind pays for it
in full ("coordinated omission", after Gil Tene). Percentiles come from an HdrHistogram of three significant digits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import grpc
import numpy as np
from hdrh.histogram import HdrHistogram

from infolens import Article

from .articles import TIMEOUT_S, WARMUP_S
from .wire import METHOD, RequestOutcome, encode, key_metadata, open_channel, outcome_of, reason_of

PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)
_LONGEST_US: Final = 120_000_000


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Which requests are sent, and when."""

    rate_per_s: float
    """Requests a second on average."""
    seconds: float = 60.0
    """Length of the measurement, after the warm-up."""
    warmup_s: float = WARMUP_S
    """Requests that are due in this time are sent and not counted."""
    kind: str = "info_lens"
    """One of `benchmarks.common.articles.kinds`."""
    timeout_s: float = TIMEOUT_S
    """Time-out of each request."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """Settings of the summary, such as ``num_beams``."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rate_per_s", "seconds", "timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is a number above 0, not {getattr(self, name)}")
        if self.warmup_s < 0:
            raise ValueError(f"warmup_s is a number from 0 on, not {self.warmup_s}")

    def due_s(self) -> list[float]:
        """When each request is due, in seconds from the start; the warm-up's come first, below ``warmup_s``."""
        rng = np.random.default_rng([self.seed, 1])
        return poisson(rng, self.rate_per_s, self.warmup_s + self.seconds)


def poisson(rng: np.random.Generator, rate_per_s: float, seconds: float) -> list[float]:
    """The moments of a Poisson process, in seconds from its start."""
    gaps = rng.exponential(1 / rate_per_s, int(seconds * rate_per_s * 1.5) + 100)
    times = np.cumsum(gaps)
    return [float(due) for due in times[times < seconds]]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request of the measurement."""

    due_s: float
    """From the end of the warm-up."""
    latency_ms: float
    """From the moment when it was due to its answer, refusal or failure."""
    outcome: RequestOutcome


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of `Arrivals` gave."""

    arrivals: Arrivals
    sent: tuple[Sent, ...]
    reasons: Mapping[str, int]
    """How often each reason of a failure (not of a refusal or a late answer) was given."""
    warmup_answered: int = 0
    behind_p99_ms: float
    """How far the generator itself was behind its own schedule."""

    def count(self, outcome: RequestOutcome) -> int:
        """Requests with this outcome."""
        return sum(one.outcome is outcome for one in self.sent)

    @property
    def lost(self) -> int:
        """Requests that somebody waited for, without an answer."""
        return len(self.sent) - self.count(RequestOutcome.ANSWERED) - self.count(RequestOutcome.LEFT)

    @property
    def answered_per_s(self) -> float:
        """Answers by seconds of the measurement."""
        return self.count(RequestOutcome.ANSWERED) / self.arrivals.seconds

    def percentiles_ms(self, outcome: RequestOutcome = RequestOutcome.ANSWERED) -> dict[float, float]:
        """Latency at `PERCENTILES` and at 100 (the longest), 0 where there is none."""
        histogram = HdrHistogram(1, _LONGEST_US, 3)
        for one in self.sent:
            if one.outcome is outcome:
                histogram.record_value(min(_LONGEST_US, max(1, round(1e3 * one.latency_ms))))
        return {percentile: histogram.get_value_at_percentile(percentile) / 1e3 for percentile in (*PERCENTILES, 100.0)}

    def holds(self, p99_ms: float) -> bool:
        """Whether every request was answered, and 99 % of them within ``p99_ms``."""
        return bool(self.sent) and self.lost == 0 and self.percentiles_ms()[99.0] <= p99_ms


@dataclass(frozen=True, kw_only=True)
class Due:
    """One request to send."""

    at_s: float
    """From the start; negative ones are the warm-up."""
    body: bytes
    """From `benchmarks.common.wire.encode`."""
    leaves_s: float | None = None
    """When its caller goes away, from ``at_s``; None for one who waits."""


class Watcher(Protocol):
    """Who is told of each request, the warm-up's too, while a run goes on."""

    def begins(self, rate_per_s: float) -> None:
        """A run of this rate begins."""

    def sends(self) -> None:
        """A request is sent."""

    def ends(self, outcome: RequestOutcome, seconds: float) -> None:
        """A request has ended, so long after it was due."""


def run(grpc_url: str, articles: Iterator[Article], arrivals: Arrivals, watcher: Watcher | None = None) -> Run:
    """Send what ``arrivals`` says, and wait for every answer.

    Args:
        grpc_url: Such as ``grpc://127.0.0.1:8001``.
        articles: One for each request.
        arrivals: How many, and when.
        watcher: Is told of them.

    Raises:
        BenchmarkError: The server cannot be reached.
    """
    requests = [
        Due(
            at_s=due_s - arrivals.warmup_s,
            body=encode(next(articles), kind=arrivals.kind, timeout_s=arrivals.timeout_s, settings=arrivals.settings),
        )
        for due_s in arrivals.due_s()
    ]
    return send(grpc_url, requests, arrivals, watcher)


def send(grpc_url: str, requests: Sequence[Due], arrivals: Arrivals, watcher: Watcher | None = None) -> Run:
    """Send ``requests``, each when it is due, and wait for what becomes of them; ``arrivals`` describes them.

    Raises:
        BenchmarkError: The server cannot be reached.
    """
    return asyncio.run(_send(grpc_url, requests, arrivals, watcher))


async def _send(grpc_url: str, requests: Sequence[Due], arrivals: Arrivals, watcher: Watcher | None) -> Run:
    sent: list[Sent] = []
    warmup_answered = 0
    reasons: Counter[str] = Counter()
    behind_ms: list[float] = []
    loop = asyncio.get_running_loop()
    async with open_channel(grpc_url, timeout_s=max(10.0, arrivals.timeout_s)) as channel:
        infer, key = channel.unary_unary(METHOD), key_metadata()

        async def one(request: Due, due_s: float) -> None:
            outcome = RequestOutcome.ANSWERED
            call = infer(request.body, timeout=arrivals.timeout_s, metadata=key)
            try:
                if request.leaves_s is None:
                    await call
                else:
                    await asyncio.wait_for(call, request.leaves_s)
            except TimeoutError:
                outcome = RequestOutcome.LEFT
            except grpc.aio.AioRpcError as error:
                outcome = outcome_of(error)
                if outcome is RequestOutcome.FAILED:
                    reasons[reason_of(error)] += 1
            took_s = loop.time() - due_s
            if watcher is not None:
                watcher.ends(outcome, took_s)
            if request.at_s < 0:
                nonlocal warmup_answered
                warmup_answered += outcome is RequestOutcome.ANSWERED
            else:
                sent.append(Sent(due_s=request.at_s, latency_ms=1e3 * took_s, outcome=outcome))

        if watcher is not None:
            watcher.begins(arrivals.rate_per_s)
        start_s = loop.time() + 0.05 - min(0.0, requests[0].at_s if requests else 0.0)
        tasks = set()
        for request in requests:
            due_s = start_s + request.at_s
            # Also when it is late: the answers that have come in the meantime must be noted.
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            behind_ms.append(1e3 * (loop.time() - due_s))
            if watcher is not None:
                watcher.sends()
            task = asyncio.create_task(one(request, due_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    return Run(
        arrivals=arrivals,
        sent=tuple(sorted(sent, key=lambda one: one.due_s)),
        reasons=dict(reasons),
        warmup_answered=warmup_answered,
        behind_p99_ms=float(np.percentile(behind_ms, 99)) if behind_ms else 0.0,
    )
