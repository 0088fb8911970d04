"""What the door counts, for Prometheus, and the one call by which both doors report a request."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.feedback.keeper import Keeper
from serving.keys.records import OTHER

from .access.doorkeeper import Doorkeeper
from .admission import WaitingRoom
from .calls import GRAPHS, Slots
from .edge.tracing import trace_id
from .refusals import Refusal, RefusedError
from .verdict import VerdictFile

BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
"""Upper ends of the latency histogram, in seconds."""
INFERENCES: Final = frozenset({"infer", "generate", "generate_stream", "analyze", "analyze_batch"})
"""Routes that ask models: counted as in flight, and logged when they are answered too."""
READINGS: Final = frozenset({"extract", "table_read", "table_write"})
"""Routes that read what strangers have made: logged when they are answered too."""
MAX_NAMES: Final = 100
"""Keys that are counted by name; all further ones are counted together, as `OTHER`."""
# Words of the server about itself; all others may quote a request.
_QUOTED: Final = frozenset({Refusal.BUSY, Refusal.AWAY, Refusal.UNAUTHENTICATED, Refusal.LIMITED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """One request that was answered or refused."""

    door: str
    """``http`` or ``grpc``."""
    route: str
    """Such as ``infer``, ``generate``, ``model_ready``: one of a closed list, never a path as it came."""
    code: str
    """``200`` or ``OK``, and so on."""
    seconds: float
    """From its last byte to the answer."""
    key: str = ""
    """The name of the caller's key; empty where none was needed or recognised."""
    model: str = ""
    """A model of the catalogue; empty for another one or none."""
    request_id: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    address: str = ""
    """Whose request it is, by what the proxies say that count."""


class GatewayMetrics:
    """The metrics of one door, in a registry of their own.

    Attributes:
        registry: What ``/metrics`` shows.
    """

    def __init__(self, log: Any, *, log_requests: bool = True) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a date for each series, which nobody reads
        self._log = log
        self._log_requests = log_requests
        self.registry = registry = CollectorRegistry()
        self._seconds = Histogram(
            "infolens_request_seconds",
            "Time from the last byte of a request to its answer.",
            ["door", "route", "model", "code"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._in_flight = Gauge(
            "infolens_requests_in_flight", "Inferences that were taken on.", ["door"], registry=registry
        )
        self._refused = Counter(
            "infolens_requests_refused",
            "Requests without an answer, by the kind of refusal.",
            ["door", "reason"],
            registry=registry,
        )
        self._room_refused = Counter(
            "infolens_waiting_room_refused",
            "Requests that the waiting room turned away, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in WaitingRoom.REASONS:
            self._room_refused.labels(reason)
        self._rows = Counter(
            "infolens_batch_rows",
            "Rows of batches, by outcome: answered, or the kind of refusal.",
            ["outcome"],
            registry=registry,
        )
        self._by_key = Counter(
            "infolens_key_requests",
            "Requests that came with a valid key, by its name and the first digit of HTTP's code.",
            ["key", "code_class"],
            registry=registry,
        )
        self._names: set[str] = set()
        self._scraped_failures = Counter(
            "infolens_triton_metrics_failures", "Times that Triton's metrics could not be had.", registry=registry
        )
        Info("infolens_build", "The code that runs.", registry=registry).info(
            {"version": _version("infolens"), "grpc": _version("grpcio"), "python": platform.python_version()}
        )
        ProcessCollector(registry=registry)

    def record(self, access: Access, refusal: RefusedError | None = None) -> None:
        """Count a request that is over, and log it if it was an inference or was refused."""
        self._seconds.labels(access.door, access.route, access.model, access.code).observe(access.seconds)
        if access.key:
            self._by_key.labels(self._name(access.key), _code_class(access, refusal)).inc()
        if refusal is not None:
            self._refused.labels(access.door, refusal.kind.value).inc()
        elif not self._log_requests or access.route not in INFERENCES | READINGS:
            return
        fields = {
            "request_id": access.request_id,
            "door": access.door,
            **({"key": access.key} if access.key else {}),
            "route": access.route,
            "model": access.model,
            "code": access.code,
            "ms": round(1e3 * access.seconds, 3),
            "bytes_in": access.bytes_in,
            "bytes_out": access.bytes_out,
            "address": access.address,
        }
        if trace := trace_id():
            fields["trace_id"] = trace
        if refusal is None:
            self._log.info("answered", **fields)
            return
        words = {"words": refusal.words[:300]} if refusal.kind in _QUOTED else {}
        self._log.warning("refused", **fields, reason=refusal.kind.value, **words)

    def refused_by_room(self, reason: str) -> None:
        """Count a request that the waiting room turned away."""
        self._room_refused.labels(reason).inc()

    def row_answered(self, outcome: str) -> None:
        """Count a row of a batch: ``answered``, or the kind of its refusal."""
        self._rows.labels(outcome).inc()

    def triton_metrics_failed(self) -> None:
        """Count that Triton's metrics could not be had."""
        self._scraped_failures.inc()

    @contextmanager
    def in_flight(self, door: str) -> Iterator[None]:
        """Count an inference as in flight inside the block."""
        gauge = self._in_flight.labels(door)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def watch(self, room: WaitingRoom, verdicts: VerdictFile, doorkeeper: Doorkeeper, counts: Path) -> None:
        """Show the waiting room, the supervisor's verdict, the keys' store and the slots and graphs of models too.

        Args:
            room: The waiting room.
            verdicts: What the supervisor says.
            doorkeeper: Whoever knows the keys.
            counts: The folder in which backends write what they count.
        """
        away = Gauge("infolens_keys_away", "Whether keys are wanted and cannot be read.", registry=self.registry)
        away.set_function(lambda: doorkeeper.away)
        places = Gauge(
            "infolens_waiting_room_places", "Requests that the room runs at the same time.", registry=self.registry
        )
        places.set_function(lambda: room.places)
        running = Gauge("infolens_waiting_room_running", "Requests that have their places.", registry=self.registry)
        running.set_function(lambda: room.running)
        waiting = Gauge("infolens_waiting_room_waiting", "Requests that wait for theirs.", registry=self.registry)
        waiting.set_function(lambda: room.waiting)
        kept = Gauge(
            "infolens_waiting_room_kept",
            "Requests whose callers have left, and with which the models are not done: their places are not free.",
            registry=self.registry,
        )
        kept.set_function(lambda: room.kept)
        self.registry.register(_Supervised(verdicts))
        self.registry.register(Slots(counts))
        self.registry.register(Slots(counts, GRAPHS))

    def watch_feedback(self, keeper: Keeper) -> None:
        """Show what becomes of feedback too, where it is kept.

        Args:
            keeper: It keeps feedback.
        """
        if keeper.keeps:
            self.registry.register(_Feedback(keeper))

    def _name(self, key: str) -> str:
        """What a key is counted as: series cost memory, here and wherever they are collected."""
        if key not in self._names and len(self._names) < MAX_NAMES:
            self._names.add(key)
        return key if key in self._names else OTHER


class _Supervised(Collector):
    """The supervisor's verdict, read when it is asked for."""

    def __init__(self, verdicts: VerdictFile) -> None:
        self._verdicts = verdicts

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        verdict = self._verdicts.read()
        yield GaugeMetricFamily("infolens_supervised", "Whether the supervisor was heard of lately.", verdict.live)
        yield GaugeMetricFamily("infolens_ready", "Whether the server answers, by the supervisor.", verdict.ready)
        models = GaugeMetricFamily("infolens_model_ready", "Whether a model answers.", labels=["model"])
        for name, one in verdict.models.items():
            models.add_metric([name], verdict.live and one.ready)
        yield models
        yield CounterMetricFamily("infolens_triton_restarts", "Times that Triton was started again.", verdict.restarts)
        yield CounterMetricFamily("infolens_heals", "Times that a model was brought back.", verdict.heals)


class _Feedback(Collector):
    """What became of feedback, read when it is asked for."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        now = self._keeper.standing()
        gauges = {
            "away": ("Whether the database of the feedback fails.", now.away),
            "queued_entries": ("Entries that neither the database nor the spool has yet.", now.queued),
            "spooled_entries": ("Entries in the spool, which wait for the database.", now.spooled_entries),
            "spooled_bytes": ("Bytes of the spool.", now.spooled_bytes),
            "spool_limit_bytes": ("The spool takes no more bytes.", now.spool_limit_bytes),
        }
        counters = {
            "kept": ("Entries that the database has taken.", now.kept),
            "repeated": ("Entries that the database had already.", now.repeated),
            "dropped": ("Predictions for which there was no room.", now.dropped),
            "refused": ("Entries that the database takes in no way.", now.refused),
            "torn": ("Lines of the spool that could not be read.", now.torn),
        }
        for name, (words, value) in gauges.items():
            yield GaugeMetricFamily(f"infolens_feedback_{name}", words, value)
        for name, (words, value) in counters.items():
            yield CounterMetricFamily(f"infolens_feedback_{name}", words, value)


def _code_class(access: Access, refusal: RefusedError | None) -> str:
    """Such as ``4xx``: of HTTP's code, over gRPC too."""
    if refusal is not None:
        return f"{refusal.http_status // 100}xx"
    return "2xx" if access.code in ("OK", "200") else "4xx"  # over gRPC, one whose caller has left


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
