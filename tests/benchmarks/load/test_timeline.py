"""Where the time of a request goes: sums made by hand, and the trace of a real request."""

import itertools
import json
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.common.served import asked_together, serving_now
from benchmarks.common.server import BenchmarkError, started_server
from benchmarks.load.trace.command import Traced, document, write
from benchmarks.load.trace.otlp import Event, Span, SpanReceiver
from benchmarks.load.trace.timeline import (
    Interval,
    Part,
    Timeline,
    Visit,
    front_end_ms,
    gaps,
    median_timeline,
    non_model_ms,
    own_ms,
    read_timeline,
    share_gaps,
    union,
)
from infolens import Article, Client
from infolens.contract import CONTRACTS, Task
from infolens.machine import Machine

SERVED = {task: contract.served() for task, contract in CONTRACTS.items()}
MACHINE = Machine(cpu="A Processor", cores=2, memory_bytes=2**34, system="Linux x86_64")


def interval(start_ms: float, end_ms: float) -> Interval:
    return Interval(start_ms=start_ms, end_ms=end_ms)


def visit(model: str, *bounds_ms: float, asked_by: str = "") -> Visit:
    """Begins to wait at the first bound, is copied to, computes, is copied from and ends at the last one."""
    parts = (
        dict(zip(Part, itertools.starmap(interval, itertools.pairwise(bounds_ms)), strict=True))
        if bounds_ms[2:]
        else {}
    )
    return Visit(model=model, asked_by=asked_by, whole=interval(bounds_ms[0], bounds_ms[-1]), parts=parts)


def timeline(total_ms: float = 40.0) -> Timeline:
    visits = (
        visit("info_lens", 1, 2, 2, 38, 38),
        *(visit(branch, 3, 36, asked_by="info_lens") for branch in ("summarize", "classify", "verify")),
        *(visit(model.tokenizer, 3, 4, 4, 8, 9) for model in SERVED.values()),
        visit("distilbert", 9, 10, 11, 16, 17),
        visit("bart", 9, 12, 13, 30, 32),
        visit("xlnet", 9, 18, 18, 20, 20),
        *(visit(model.postprocessor, 32, 33, 33, 35, 35) for model in SERVED.values()),
    )
    return Timeline(total_ms=total_ms, visits={one.model: one for one in visits}, served=SERVED)


def test_a_union_counts_overlapping_moments_once():
    assert union([]) == []
    assert union([interval(5, 6), interval(0, 2), interval(1, 3), interval(3, 4)]) == [interval(0, 4), interval(5, 6)]


def test_not_model_time_is_what_no_model_computes_in():
    found = timeline()
    # The three compute from 11 to 16, 13 to 30 and 18 to 20.
    assert gaps(found) == [interval(0, 11), interval(30, 40)]
    assert non_model_ms(found) == 21.0


def test_models_that_compute_one_after_another_leave_a_gap_between_them():
    found = Timeline(
        total_ms=10.0,
        visits={"bart": visit("bart", 0, 0, 1, 3, 3), "xlnet": visit("xlnet", 0, 4, 5, 9, 9)},
        served=SERVED,
    )
    assert gaps(found) == [interval(0, 1), interval(3, 5), interval(9, 10)]
    assert non_model_ms(found) == 4.0


def test_the_causes_of_not_model_time_add_up_to_it():
    found = timeline()
    shares = share_gaps(found)
    assert shares == {
        "tokenizers": 4.0,
        "texts and labels": 2.0,
        "copies": 4.0,  # 8 to 9, 10 to 11, and bart's 30 to 32
        "queues": 3.0,  # 3 to 4, 9 to 10, 32 to 33
        "between the models of a branch": 1.0,
        "fan_out": 4.0,  # 1 to 3 and 36 to 38
        "gRPC and front end": 3.0,
    }
    assert sum(shares.values()) == non_model_ms(found)


def test_fan_out_and_the_front_end_have_their_own_time():
    assert own_ms(timeline()) == 37 - 1 - 33
    assert front_end_ms(timeline()) == 40 - 37


def test_the_median_is_one_of_the_requests():
    assert median_timeline([timeline(50.0), timeline(40.0), timeline(90.0)]).total_ms == 50.0


def spans_of(found: Timeline, *, trace_id: str = "01" * 16, start_ns: int = 10**18) -> list[Span]:
    """What Triton sends: a span for each model and, below it, one for its computing."""

    def ns(ms: float) -> int:
        return start_ns + int(1e6 * ms)

    def span(name: str, span_id: str, parent_id: str, whole: Interval, **more: object) -> Span:
        times = {"start_ns": ns(whole.start_ms), "end_ns": ns(whole.end_ms)}
        return Span(name=name, trace_id=trace_id, span_id=span_id, parent_id=parent_id, **times, **more)

    departure = (Event(name="INFER_RESPONSE_COMPLETE", time_ns=ns(38)), Event(name="GRPC_SEND_END", time_ns=ns(40)))
    # Triton clears a request away after it was answered.
    spans = [span("InferRequest", "f" * 16, "", interval(0, 44), events=departure)]
    ids = {model: f"{index:016x}" for index, model in enumerate(found.visits, 1)}
    for model, one in found.visits.items():
        whole = interval(1, 43) if model == "info_lens" else one.whole
        parent_id = ids[one.asked_by] if one.asked_by else "f" * 16
        queue = (Event(name="QUEUE_START", time_ns=ns(one.whole.start_ms)),)
        name = {"triton.model_name": model, "triton.model_version": 1}
        spans.append(span(model, ids[model], parent_id, whole, events=queue, attributes=name))
        if one.parts:
            names = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END")
            bounds = [part.end_ms for part in one.parts.values()]
            events = tuple(Event(name=n, time_ns=ns(ms)) for n, ms in zip(names, bounds, strict=True))
            spans.append(span("compute", "e" + ids[model][1:], ids[model], one.whole, events=events))
    return spans


def test_spans_become_the_timeline_up_to_the_answers_departure():
    found = read_timeline(spans_of(timeline()), SERVED)
    assert found.total_ms == 40.0
    assert found.visits == timeline().visits


def test_a_trace_without_a_model_is_an_error_that_names_it():
    spans = [span for span in spans_of(timeline()) if span.name not in {"bart", "xlnet"}]
    with pytest.raises(BenchmarkError, match=r"no span of bart, xlnet.*fan_out must hand"):
        read_timeline(spans, SERVED)


def test_the_models_are_those_that_serve_and_their_roles_are_of_their_tasks(tmp_path: Path):
    served = {**SERVED, Task.CATEGORY: CONTRACTS[Task.CATEGORY].served("category_roberta")}
    with pytest.raises(BenchmarkError, match=r"no span of category_roberta, only of bart, .*distilbert"):
        read_timeline(spans_of(timeline()), served)
    starter, new = timeline(), "category_roberta"
    names = {name: name.replace("distilbert", new) for name in starter.visits}
    visits = {names[name]: replace(one, model=names[name]) for name, one in starter.visits.items()}
    found = read_timeline(spans_of(replace(starter, visits=visits)), served)
    assert (share_gaps(found), non_model_ms(found)) == (share_gaps(starter), 21.0)
    traced = Traced(machine=MACHINE, day=date(2030, 1, 2), words=99, client_ms=(41.0,), timelines=(found,))
    stages = {stage["stage"] for stage in document(traced)["stages"]}
    assert {"category_roberta: computes", "category_roberta_labels: waits", "bart_text: copies"} <= stages
    assert not any("distilbert" in stage for stage in stages)
    assert write(traced, tmp_path)[2].read_bytes().startswith(b"\x89PNG")


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


def test_the_report_has_the_stages_in_milliseconds_and_three_files(tmp_path: Path):
    traced = Traced(
        machine=MACHINE, day=date(2030, 1, 2), words=99, client_ms=(41.0, 42.0, 43.0), timelines=(timeline(),) * 3
    )
    doc = document(traced)
    assert doc["not_model_time"]["p50_ms"] == 21.0
    stages = {stage["stage"]: stage["p50_ms"] for stage in doc["stages"]}
    assert stages["client and network"] == 2.0
    assert stages["bart: waits"] == 3.0
    assert stages["bart: copies"] == 3.0
    assert stages["bart: computes"] == 17.0
    paths = write(traced, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trace.json", "trace.md", "trace.png"]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == doc
    table = paths[0].read_text(encoding="utf-8")
    assert "| not model time | 21.00 | 21.00 | 21.00 |" in table
    assert "11.0 ms before the first model computes, 0.0 ms between models, 10.0 ms after the last" in table
    assert paths[2].read_bytes().startswith(b"\x89PNG")


@pytest.mark.server
def test_a_real_request_is_one_tree_with_all_models():
    article = Article(title="Harbour bridge to reopen", text="The old bridge over the harbour opens again on Monday.")
    with (
        SpanReceiver() as receiver,
        started_server(["--trace-url", receiver.url]) as server,
        Client(server.grpc_url) as client,
    ):
        for _ in range(3):
            client.analyze(article)
        served = asked_together(serving_now(server.grpc_url))
        traces = receiver.wait_for(3)
    for spans in traces:
        found = read_timeline(spans, served)
        asked_by = {model: one.asked_by for model, one in found.visits.items()}
        assert asked_by["info_lens"] == ""
        for task, model in served.items():
            branch = CONTRACTS[task].ensemble
            assert asked_by[branch] == "info_lens"
            assert [asked_by[name] for name in model.chain] == [branch] * 3
            assert all(set(found.visits[name].parts) == set(Part) for name in model.chain)
        assert 0 < non_model_ms(found) < found.total_ms
        assert sum(share_gaps(found).values()) == pytest.approx(non_model_ms(found))
    assert len(asked_by) == 1 + 4 * len(served)
