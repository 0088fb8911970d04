"""OpenTelemetry spans of some requests: the whole, its wait, and each question to Triton. Off by default.

The door decides, by chance, which requests have spans: a caller's ``traceparent`` is continued where the door has
chosen so, and by itself makes it choose nothing. Where the operator allows it (``trace_asked_per_minute``), one that
says *sampled* is chosen too, so many a minute and no more whoever asks: the models work on traced requests one after
another, so that without a bound a caller could slow down all others. A bound for all holds without keys, and before a
key is looked at. A request without spans costs a number drawn at random. Spans have names, codes and ids, never a word
of an article or an answer.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import grpc
from aiohttp import web

from serving.edge.options import EdgeOptions

TRACE_HEADER: Final = "X-Trace-Id"
"""Has the trace of an answer that has one; over gRPC in its initial metadata."""
PARENT: Final = "traceparent"
_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_MAX_PARTS: Final = 128
"""Spans within one request; a batch has as many rows as it likes."""
_SEND_S: Final = 5.0
_PROBES: Final = frozenset(
    {
        "healthz",
        "readyz",
        "server_live",
        "server_ready",
        "model_ready",
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "Check",
    }
)
"""Routes and methods by which programs ask how the server is, all the time: they never have spans."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True, slots=True)
class _Trace:
    """The request that is served just now, where it has spans."""

    tracing: Tracing
    span: Any
    trace_id: str
    parts: int = 0


_current: ContextVar[_Trace | None] = ContextVar("trace", default=None)


def trace_id() -> str:
    """The trace of the request that is served here; empty if it has none."""
    trace = _current.get()
    return "" if trace is None else trace.trace_id


@contextmanager
def part(name: str) -> Iterator[tuple[tuple[str, str], ...]]:
    """A span inside the request that is served here, if that has spans.

    Args:
        name: What is done.

    Yields:
        Metadata for whoever is asked inside the block, who then adds spans to it; mostly none.
    """
    trace = _current.get()
    if trace is None or trace.parts >= _MAX_PARTS:
        yield ()
        return
    trace.parts += 1
    with trace.tracing.begun(name, trace.span) as span:
        yield trace.tracing.metadata(span)


class Asked:
    """Lets so many requests a minute have spans because their callers want it, evenly spread.

    Args:
        per_minute: How many, of all callers together.
        now: A clock that only goes forward, in seconds.
    """

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._now = now
        self._free_at_s = -math.inf

    def lets(self, parent: str) -> bool:
        """Whether a request has spans because its ``traceparent`` says *sampled*; counts it if so."""
        found = _PARENT.fullmatch(parent) if self._per_minute else None
        if found is None or not int(found.group(3), 16) & 1:
            return False
        now_s = self._now()
        if now_s < self._free_at_s:
            return False
        self._free_at_s = now_s + 60 / self._per_minute
        return True


class Tracing:
    """Chooses requests, and gives them spans.

    Args:
        tracer: OpenTelemetry's; None for no spans at all.
        sample: Which part of the requests has spans.
        models: Whether Triton is asked to add its own.
        asked: Which others have some because their callers want it; None for no others.
    """

    def __init__(
        self, tracer: Any = None, *, sample: float = 0.0, models: bool = False, asked: Asked | None = None
    ) -> None:
        self._tracer = tracer
        self._sample = sample
        self._models = models
        self._asked = asked or Asked(0)

    def chooses(self, parent: str = "") -> bool:
        """Whether a request has spans.

        Args:
            parent: The ``traceparent`` that its caller sent.
        """
        if self._tracer is None:
            return False
        return random.random() < self._sample or self._asked.lets(parent)  # noqa: S311 (no secret)

    @web.middleware
    async def over_http(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give a request over HTTP its spans; the outermost middleware."""
        name = (request.match_info.route.name or "").partition("-")[0] or "unknown"
        parent = request.headers.get(PARENT, "")
        if name in _PROBES or not self.chooses(parent):
            return await handler(request)
        with self._request("http", name, parent) as span:
            response = await handler(request)
            span.set_attribute("http.response.status_code", response.status)
            if given := response.headers.get("X-Request-Id"):
                span.set_attribute("infolens.request_id", given)
            if not response.prepared:
                response.headers[TRACE_HEADER] = trace_id()
            return response

    async def mark(self, _: web.Request, response: web.StreamResponse) -> None:
        """Say on an answer that is sent before its handler is done which trace it has."""
        if found := trace_id():
            response.headers[TRACE_HEADER] = found

    def over_grpc(self, methods: Mapping[str, grpc.RpcMethodHandler]) -> dict[str, grpc.RpcMethodHandler]:
        """Methods whose calls get their spans."""
        if self._tracer is None:
            return dict(methods)
        return {name: self._wrapped(name, handler) for name, handler in methods.items()}

    @contextmanager
    def begun(self, name: str, parent: Any) -> Iterator[Any]:
        """A span inside another one."""
        from opentelemetry import trace

        span = self._tracer.start_span(name, context=trace.set_span_in_context(parent))
        with _ending(span):
            yield span

    def metadata(self, span: Any) -> tuple[tuple[str, str], ...]:
        """What has Triton add its spans to one of ours."""
        if not self._models:
            return ()
        context = span.get_span_context()
        return ((PARENT, f"00-{context.trace_id:032x}-{context.span_id:016x}-01"),)

    @contextmanager
    def _request(self, door: str, name: str, parent: str) -> Iterator[Any]:
        from opentelemetry import trace

        span = self._tracer.start_span(name, context=_from(parent), kind=trace.SpanKind.SERVER)
        span.set_attribute("infolens.door", door)
        token = _current.set(_Trace(tracing=self, span=span, trace_id=f"{span.get_span_context().trace_id:032x}"))
        try:
            with _ending(span):
                yield span
        finally:
            _current.reset(token)

    def _wrapped(self, name: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        inner = handler.stream_unary
        if inner is None or name in _PROBES:
            return handler

        async def serve(messages: Any, context: grpc.aio.ServicerContext) -> bytes:
            parent = str(dict(context.invocation_metadata() or ()).get(PARENT, ""))
            if not self.chooses(parent):
                answer: bytes = await inner(messages, context)
                return answer
            with self._request("grpc", name, parent) as span:
                await context.send_initial_metadata(((TRACE_HEADER.lower(), trace_id()),))
                try:
                    answer = await inner(messages, context)
                finally:
                    span.set_attribute("rpc.response.status_code", _code(context))
                return answer

        return grpc.stream_unary_rpc_method_handler(serve)


OFF: Final = Tracing()


@asynccontextmanager
async def open_tracing(options: EdgeOptions) -> AsyncIterator[Tracing]:
    """The spans of a door; those that are not sent yet are sent at the end."""
    if not options.trace_sample:
        yield OFF
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource.create({"service.name": "infolens"}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=options.trace_url, timeout=_SEND_S)))
    tracer = provider.get_tracer("infolens")
    try:
        asked = Asked(options.trace_asked_per_minute)
        yield Tracing(tracer, sample=options.trace_sample, models=options.trace_models, asked=asked)
    finally:
        await asyncio.to_thread(provider.shutdown)


@contextmanager
def _ending(span: Any) -> Iterator[None]:
    """End a span with the block; what goes wrong is told by its type alone, since its words may quote a request."""
    try:
        yield
    except BaseException as error:
        span.set_attribute("error.type", getattr(getattr(error, "kind", None), "value", type(error).__name__))
        raise
    finally:
        span.end()


def _from(parent: str) -> Any:
    """The context of a caller's span; a fresh one if there is none, or it is none."""
    from opentelemetry import trace
    from opentelemetry.context import Context

    found = _PARENT.fullmatch(parent)
    if found is None:
        return Context()
    context = trace.SpanContext(
        trace_id=int(found.group(1), 16),
        span_id=int(found.group(2), 16),
        is_remote=True,
        trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


def _code(context: grpc.aio.ServicerContext) -> str:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return str(code.name)
    by_number: Sequence[str] = [one.name for one in grpc.StatusCode if one.value[0] == (code or 0)]
    return by_number[0] if by_number else "UNKNOWN"
