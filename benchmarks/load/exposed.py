"""What a load generator sees, for Prometheus: a load test stands on a dashboard beside the server that it asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server

from benchmarks.common.server import BenchmarkError
from benchmarks.common.wire import RequestOutcome

BUCKETS_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
"""Upper ends of the latency histogram, in seconds."""


class LoadMetrics:
    """The counts of one load generator; requests of a warm-up count too.

    Attributes:
        registry: What its port shows.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a date for each series, which nobody reads
        self.registry = CollectorRegistry()
        self._sent = Counter("infolens_load_sent", "Requests that were sent.", registry=self.registry)
        self._seconds = Histogram(
            "infolens_load_seconds",
            "Time to the end of a request, by outcome: from when it was due (open loop) or sent (Locust).",
            ["outcome"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        for outcome in RequestOutcome:
            self._seconds.labels(outcome.value)
        self._asked: Gauge | None = None

    def begins(self, rate_per_s: float) -> None:
        """Show the rate that is asked for; a closed loop asks for none, and shows none."""
        if self._asked is None:
            words = "Requests a second that the step which runs asks for."
            self._asked = Gauge("infolens_load_asked_per_second", words, registry=self.registry)
        self._asked.set(rate_per_s)

    def sends(self) -> None:
        """Count a request that is sent."""
        self._sent.inc()

    def ends(self, outcome: RequestOutcome, seconds: float) -> None:
        """Count a request that has ended."""
        self._seconds.labels(outcome.value).observe(seconds)


@contextmanager
def exposed(port: int | None) -> Iterator[LoadMetrics | None]:
    """Metrics on ``/metrics`` of a port of all addresses inside the block; None without a port.

    Raises:
        BenchmarkError: The port cannot be had.
    """
    if port is None:
        yield None
        return
    metrics = LoadMetrics()
    try:
        server, thread = start_http_server(port, registry=metrics.registry)
    except (OSError, OverflowError) as error:
        raise BenchmarkError(f"--metrics-port is a free port of this machine, not {port}: {error}") from error
    try:
        yield metrics
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
