"""One trace from the caller's own span through SDK and door to each model, in a real collector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from benchmarks.common.server import started_server
from benchmarks.load.trace.otlp import Span, SpanReceiver
from infolens import Client, Task
from infolens.contract import CONTRACTS, INFO_LENS
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.supervisor.collector import Beyond, collector

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]

ARTICLE = "The home side scored a late goal to win the cup final on Saturday. The crowd sang until the night came. " * 3
STEPS = {model for contract in CONTRACTS.values() if contract.by_default for model in contract.served().chain}


class Told(NamedTuple):
    """What the caller knows, and what the collector got."""

    trace_id: str
    span_id: str
    spans: tuple[Span, ...]

    @property
    def by_id(self) -> Mapping[str, Span]:
        return {span.span_id: span for span in self.spans}

    def way(self, span: Span) -> list[str]:
        """The names from the outermost span to this one."""
        names = [span.name]
        while span.parent_id:
            span = self.by_id[span.parent_id]
            names.append(span.name)
        return names[::-1]

    def ways(self, name: str) -> list[list[str]]:
        return [self.way(span) for span in self.spans if span.name == name]


@pytest.fixture(scope="module", params=["grpc", "http"])
def told(request: pytest.FixtureRequest, served: tuple[dict[str, str], str, SpanReceiver]) -> Told:
    """The trace of one article over a protocol."""
    urls, collected, receiver = served
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=collected)))
    try:
        with Client(urls[request.param]) as client:
            with provider.get_tracer("desk").start_as_current_span("morning page") as span:
                report = client.analyze(ARTICLE)
            context = span.get_span_context()
    finally:
        provider.shutdown()
    trace_id = f"{context.trace_id:032x}"
    assert report.trace_id == trace_id
    assert set(report.answers) == {Task.SUMMARY, Task.CATEGORY, Task.VERACITY}
    with receiver._changed:
        whole = receiver._changed.wait_for(lambda: _find(receiver, trace_id), 90)
        spans = receiver._traces.get(trace_id, [])
    assert whole, sorted(span.name for span in spans)
    return Told(trace_id, f"{context.span_id:016x}", tuple(spans))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str, SpanReceiver]]:
    """The whole server, which sends every request's spans to a collector, and what the collector passes on."""
    folder = tmp_path_factory.mktemp("one-trace")
    with Beyond() as receiver, collector(folder, receiver.url.removesuffix("/v1/traces")) as url:
        options = ["--trace-url", url, "--trace-sample", "1", "--trace-models"]
        with started_server([*options, "--log-file", str(folder / "triton.log")]) as server:
            yield {"grpc": server.grpc_url, "http": server.http_url}, url, receiver


def _find(receiver: SpanReceiver, trace_id: str) -> bool:
    """Whether a complete trace has come, with every model in it."""
    whole = {spans[0].trace_id: {span.name for span in spans} for spans in receiver._complete()}
    return whole.get(trace_id, set()) >= {*STEPS, INFO_LENS}


def test_all_spans_are_one_tree_under_the_caller_s(told: Told) -> None:
    assert {span.trace_id for span in told.spans} == {told.trace_id}
    assert [span.span_id for span in told.spans if not span.parent_id] == [told.span_id]
    assert {told.way(span)[0] for span in told.spans} == {"morning page"}


def test_each_step_hangs_where_it_was_asked(told: Told) -> None:
    """Under the span of its ensemble, that of info_lens, and the door's question to Triton."""
    for contract in (one for one in CONTRACTS.values() if one.by_default):
        for name in contract.served().chain:
            ways = told.ways(name)
            assert len(ways) == 1, (name, ways)
            assert [one for one in ways[0] if one in (INFO_LENS, contract.ensemble, name)] == [
                INFO_LENS,
                contract.ensemble,
                name,
            ]
            assert "ModelInfer" in ways[0][1:3], ways


def test_no_span_begins_before_what_asked_for_it(told: Told) -> None:
    for span in told.spans:
        if span.parent_id:
            assert told.by_id[span.parent_id].start_ns <= span.start_ns
