"""The receiver of spans: both encodings, any order, and what is no span."""

import json
import urllib.error
import urllib.request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.common.server import BenchmarkError
from benchmarks.load.trace.otlp import Event, Span, SpanReceiver
from tests.benchmarks.load.traces import spans_of, timeline


def request_of(spans: list[Span]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for span in spans:
        sent = scope.spans.add(
            name=span.name,
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_id),
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
        )
        for event in span.events:
            sent.events.add(name=event.name, time_unix_nano=event.time_ns)
        for key, value in span.attributes.items():
            kind = {str: "string_value", int: "int_value", float: "double_value"}[type(value)]
            setattr(sent.attributes.add(key=key).value, kind, value)
    return request


def json_of(spans: list[Span]) -> bytes:
    """As Triton 2.51 sends it: ids in hexadecimal, numbers of 64 bits as text."""
    sent = [
        {
            "name": span.name,
            "traceId": span.trace_id,
            "spanId": span.span_id,
            **({"parentSpanId": span.parent_id} if span.parent_id else {}),
            "startTimeUnixNano": str(span.start_ns),
            "endTimeUnixNano": str(span.end_ns),
            "kind": 2,
            "flags": 1,
            "events": [{"name": event.name, "timeUnixNano": str(event.time_ns)} for event in span.events],
            "attributes": [
                {"key": key, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}}
                for key, value in span.attributes.items()
            ],
        }
        for span in spans
    ]
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": sent}]}]}).encode()


def post(url: str, body: bytes, kind: str = "application/x-protobuf") -> int:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": kind})
    with urllib.request.urlopen(request) as response:
        return int(response.status)


def test_the_receiver_reads_protobuf_in_pieces_and_any_order():
    span = Span(
        name="compute",
        trace_id="ab" * 16,
        span_id="cd" * 8,
        parent_id="ef" * 8,
        start_ns=1795541316817548936,
        end_ns=1795541316876781496,
        attributes={"triton.model_name": "bart", "triton.model_version": 1, "share": 0.5},
        events=(Event(name="COMPUTE_START", time_ns=1795541316817548936),),
    )
    root = Span(name="InferRequest", trace_id="ab" * 16, span_id="ef" * 8, parent_id="", start_ns=1, end_ns=2)
    other = Span(name="InferRequest", trace_id="11" * 16, span_id="ef" * 8, parent_id="", start_ns=3, end_ns=4)
    with SpanReceiver() as receiver:
        for piece in ([span], [other, root]):
            assert post(receiver.url, request_of(piece).SerializeToString()) == 200
        assert receiver.wait_for(2) == [(other,), (span, root)]


def test_the_receiver_reads_json_as_it_reads_protobuf():
    spans = spans_of(timeline())
    with SpanReceiver() as receiver:
        post(receiver.url, json_of(spans), "application/json")
        assert receiver.wait_for(1) == [tuple(spans)]


def test_a_trace_whose_spans_lack_their_parent_is_not_complete():
    spans = [span for span in spans_of(timeline()) if span.name != "summarize"]
    child = Span(name="x", trace_id=spans[0].trace_id, span_id="9" * 16, parent_id="8" * 16, start_ns=0, end_ns=1)
    with SpanReceiver() as receiver:
        post(receiver.url, request_of([*spans, child]).SerializeToString())
        with pytest.raises(BenchmarkError, match=r"0 of 1 complete traces came within 0 s, 1 have begun.*--trace-url"):
            receiver.wait_for(1, timeout_s=0)


def test_without_spans_the_receiver_says_what_to_do():
    with (
        SpanReceiver() as receiver,
        pytest.raises(
            BenchmarkError, match=f"0 of 3 .* 0 have begun: start the server with --trace-url {receiver.url}"
        ),
    ):
        receiver.wait_for(3, timeout_s=0)


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
def test_what_is_no_span_is_an_error_and_not_a_wait(kind: str):
    with SpanReceiver() as receiver:
        post(receiver.url, b"[1] no spans", kind)
        with pytest.raises(BenchmarkError, match="spans come as an ExportTraceServiceRequest"):
            receiver.wait_for(1)


def test_the_receiver_has_one_address():
    with SpanReceiver() as receiver, pytest.raises(urllib.error.HTTPError, match="404"):
        post(f"{receiver.url}/else", b"")
