"""A small OpenTelemetry collector (OTLP over HTTP): it keeps the spans that a server under measurement sends.

Both encodings of OTLP are read, protobuf and JSON: Triton 2.51 sends JSON, about five seconds after the request.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.common.server import BenchmarkError

PATH: Final = "/v1/traces"
JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
_IDS: Final = ("traceId", "spanId", "parentSpanId")
Value = str | int | float
"""What an attribute holds: true and false come as 1 and 0, lists and maps as text."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """A moment within a span."""

    name: str
    """Such as ``COMPUTE_START``."""
    time_ns: int
    """Nanoseconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of work with a start and an end, in nanoseconds since 1970."""

    name: str
    trace_id: str
    """Hexadecimal; the same for all spans of a request."""
    span_id: str
    parent_id: str
    """Empty in the span that all others of its trace are part of."""
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[Event, ...] = ()


class SpanReceiver:
    """Listens on a free port of this machine as long as the ``with`` block lasts.

    What comes is put aside and read by `wait_for` only, so that reading it takes no time from the server.

    >>> with SpanReceiver() as receiver, started_server(["--trace-url", receiver.url]) as server:
    ...     ...
    ...     traces = receiver.wait_for(200)

    Attributes:
        url: What a server is to send its spans to, such as ``http://127.0.0.1:4318/v1/traces``.
    """

    url: str

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._unread: list[tuple[bytes, bool]] = []
        self._traces: dict[str, list[Span]] = {}
        self._ended: list[str] = []

    def __enter__(self) -> Self:
        receiver = self

        class Handler(_Handler):
            def take(self, body: bytes, *, is_json: bool) -> None:
                receiver.take(body, is_json=is_json)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A server that still runs keeps its connection open, and the block is not to wait for that.
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"
        # The end of the block waits for one turn of the loop.
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="span-receiver", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, body: bytes, *, is_json: bool) -> None:
        """Put a request's body aside."""
        with self._changed:
            self._unread.append((body, is_json))
            self._changed.notify_all()

    def wait_for(self, count: int, *, timeout_s: float = 30.0) -> list[tuple[Span, ...]]:
        """The first ``count`` complete traces, in the order in which they ended.

        A trace is complete when its outermost span is here and no span of it waits for its parent.

        Raises:
            BenchmarkError: They did not come within ``timeout_s``, or what came are no spans.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._complete()) >= count, timeout_s):
                raise BenchmarkError(
                    f"{len(self._complete())} of {count} complete traces came within {timeout_s:g} s, "
                    f"{len(self._traces)} have begun: start the server with --trace-url {self.url}, "
                    "and see in its log that it still runs"
                )
            return self._complete()[:count]

    def _complete(self) -> list[tuple[Span, ...]]:
        while self._unread:
            body, is_json = self._unread.pop(0)
            for span in parse(body, is_json=is_json):
                self._traces.setdefault(span.trace_id, []).append(span)
                if not span.parent_id:
                    self._ended.append(span.trace_id)
        return [tuple(self._traces[trace_id]) for trace_id in self._ended if _is_whole(self._traces[trace_id])]


def _is_whole(spans: Sequence[Span]) -> bool:
    known = {span.span_id for span in spans} | {""}
    return all(span.parent_id in known for span in spans)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the server keeps its connection

    def take(self, body: bytes, *, is_json: bool) -> None:
        raise NotImplementedError

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_json = self.headers.get_content_type() == JSON
        if self.path == PATH:
            self.take(body, is_json=is_json)
        self.send_response(HTTPStatus.OK if self.path == PATH else HTTPStatus.NOT_FOUND)
        # The answer, an ExportTraceServiceResponse, is empty where nothing is to be said.
        content = b"{}" if is_json else b""
        self.send_header("Content-Type", JSON if is_json else PROTOBUF)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        """Write nothing: the standard library would print a line for each batch of spans."""


def parse(body: bytes, *, is_json: bool = False) -> list[Span]:
    """The spans of an ``ExportTraceServiceRequest``, in protobuf's own encoding or in JSON.

    Raises:
        BenchmarkError: ``body`` is none.
    """
    try:
        request = _from_json(body) if is_json else ExportTraceServiceRequest.FromString(body)
    except (DecodeError, ParseError, ValueError, AttributeError, TypeError) as error:
        raise BenchmarkError(
            f"spans come as an ExportTraceServiceRequest of OTLP, and {body[:40]!r} is none ({error}): "
            "find out what sends it: only the server may know this address"
        ) from error
    return [
        Span(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            # Some exporters write zeros where there is no parent.
            parent_id=span.parent_span_id.hex() if any(span.parent_span_id) else "",
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            attributes=MappingProxyType({pair.key: _value(pair.value) for pair in span.attributes}),
            events=tuple(Event(name=event.name, time_ns=event.time_unix_nano) for event in span.events),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _from_json(body: bytes) -> Any:
    document = json.loads(body)
    for resource in document.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                # OTLP writes ids in hexadecimal, where protobuf's JSON has bytes in base 64.
                span.update({key: _base64(span[key]) for key in _IDS if key in span})
    return ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _value(value: Any) -> Value:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind == "double_value":
        return float(value.double_value)
    return int(getattr(value, kind)) if kind in ("int_value", "bool_value") else str(value)
