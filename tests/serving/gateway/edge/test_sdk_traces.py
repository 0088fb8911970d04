"""The SDK before the real door: the trace of its caller goes along, and the answer says which trace it has."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from benchmarks.load.trace.otlp import Span, SpanReceiver, parse
from infolens import AsyncClient, Client, InvalidSettingError, Report, ServerError, continuing_trace
from serving.gateway.edge.tracing import Asked
from tests.clients.conftest import run as run  # (a fixture)
from tests.serving.gateway.edge.test_tracing import SECRET, traced
from tests.serving.gateway.scripted import Door, ScriptedTriton

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = PARENT.split("-")[1]


@pytest.fixture
def receiver() -> Iterator[SpanReceiver]:
    with SpanReceiver() as receiver:
        yield receiver


def received(receiver: SpanReceiver) -> list[Span]:
    """What the door has sent; to be asked after its end."""
    return [span for body, is_json in receiver._unread for span in parse(body, is_json=is_json)]


def urls(door: Door) -> tuple[str, str]:
    return f"http://127.0.0.1:{door.ports['http_port']}", f"grpc://127.0.0.1:{door.ports['grpc_port']}"


@contextmanager
def active_span() -> Iterator[tuple[str, str]]:
    """A span of the caller's own, as OpenTelemetry makes it: its trace and its id."""
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("caller").start_as_current_span("desk") as span:
        context = span.get_span_context()
        yield f"{context.trace_id:032x}", f"{context.span_id:016x}"
    provider.shutdown()


async def blocking(url: str, ask: Callable[[Client], Any]) -> Any:
    def work() -> Any:
        with Client(url) as client:
            return ask(client)

    return await asyncio.to_thread(work)


async def test_the_active_span_is_the_parent_over_both_protocols_and_in_both_clients(
    tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver
) -> None:
    async with traced(tmp_path, scripted, receiver.url) as door:
        with active_span() as (trace_id, span_id):
            reports = []
            for url in urls(door):
                async with AsyncClient(url) as client:
                    reports.append(await client.analyze(SECRET))
                reports.append(await blocking(url, lambda client: client.analyze(SECRET)))
                reports += await blocking(url, lambda client: list(client.analyze_many([SECRET, SECRET])))
                batch = await blocking(url, lambda client: list(client.analyze_batch([SECRET])))
                reports.append(batch[0].report)
    assert [report.trace_id for report in reports] == [trace_id] * 10
    roots = [span for span in received(receiver) if "infolens.door" in span.attributes]
    assert [(span.trace_id, span.parent_id) for span in roots] == [(trace_id, span_id)] * 10


async def test_without_a_span_each_request_has_a_trace_of_its_own_and_says_so(
    tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver
) -> None:
    async with traced(tmp_path, scripted, receiver.url) as door:
        assert not trace.get_current_span().get_span_context().is_valid
        reports = [await blocking(url, lambda client: client.analyze(SECRET)) for url in urls(door)]
    found = {span.trace_id for span in received(receiver)}
    assert {report.trace_id for report in reports} == found
    assert len(found) == 2
    report = reports[0]
    assert report.to_dict()["trace_id"] == pickle.loads(pickle.dumps(report)).trace_id == report.trace_id
    assert report == Report.of(report.answers)  # the same answers are the same report


async def test_a_trace_can_be_handed_over_without_opentelemetry(
    tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver
) -> None:
    async with traced(tmp_path, scripted, receiver.url) as door:
        for url in urls(door):
            with active_span(), continuing_trace(PARENT) as sent:
                report = await blocking(url, lambda client: client.analyze(SECRET))
            assert (report.trace_id, sent) == (TRACE, PARENT)
            async with AsyncClient(url, headers={"Traceparent": PARENT}) as client:
                with active_span(), continuing_trace():
                    assert (await client.analyze(SECRET)).trace_id == TRACE
            async with AsyncClient(url) as client:
                with continuing_trace() as own:
                    assert (await client.analyze(SECRET)).trace_id == own.split("-")[1]
                assert (await client.analyze(SECRET)).trace_id not in (TRACE, own.split("-")[1])


@pytest.mark.parametrize(
    "wrong", ["", "no", PARENT.upper(), f"{PARENT} ", PARENT.replace("b7ad6b7169203331", "0" * 16)]
)
def test_what_is_no_traceparent_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidSettingError, match="a traceparent is"), continuing_trace(wrong):
        pytest.fail("it was taken")


async def test_a_failure_says_its_trace_too(tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver) -> None:
    async with traced(tmp_path, scripted, receiver.url) as door:

        async def fails(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
            await context.abort(grpc.StatusCode.INTERNAL, "a model failed")
            raise AssertionError

        scripted.answer = fails
        for url in urls(door):
            with continuing_trace(PARENT), pytest.raises(ServerError) as caught:
                await blocking(url, lambda client: client.analyze(SECRET))
            assert caught.value.trace_id == TRACE
            async with AsyncClient(url) as client:
                with continuing_trace(PARENT), pytest.raises(ServerError) as caught:
                    await client.analyze(SECRET)
            assert caught.value.trace_id == TRACE


async def test_where_no_spans_are_kept_there_is_no_trace(tmp_path: Path, scripted: ScriptedTriton) -> None:
    async with traced(tmp_path, scripted, "", trace_sample=0.0) as door:
        for url in urls(door):
            with continuing_trace(PARENT):
                report = await blocking(url, lambda client: client.analyze(SECRET))
            assert report.trace_id is None
            assert "trace_id" not in report.to_dict()


async def test_callers_may_choose_as_often_as_the_operator_says(
    tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver
) -> None:
    rare = {"trace_sample": 1e-12, "trace_asked_per_minute": 1}
    async with traced(tmp_path, scripted, receiver.url, **rare) as door:
        http, binary = urls(door)
        with continuing_trace(f"{PARENT[:-2]}00"):  # it does not want any
            assert (await blocking(http, lambda client: client.analyze(SECRET))).trace_id is None
        with continuing_trace(PARENT):
            assert (await blocking(binary, lambda client: client.analyze(SECRET))).trace_id == TRACE
            assert (await blocking(binary, lambda client: client.analyze(SECRET))).trace_id is None
            assert (await blocking(http, lambda client: client.analyze(SECRET))).trace_id is None


def test_what_callers_choose_is_spread_evenly() -> None:
    now_s = 100.0
    asked = Asked(4, now=lambda: now_s)
    let = []
    for _ in range(61):
        let.append(asked.lets(PARENT))
        now_s += 1.0
    assert [second for second, one in enumerate(let) if one] == [0, 15, 30, 45, 60]
    assert not any(Asked(0).lets(one) for one in (PARENT, ""))
    assert not any(Asked(9).lets(one) for one in ("", "x", f"{PARENT[:-2]}02"))
    assert Asked(9).lets(f"{PARENT[:-2]}ff")


async def test_the_command_prints_the_trace_that_it_asked_for(
    tmp_path: Path, scripted: ScriptedTriton, receiver: SpanReceiver, run: Callable[..., Any]
) -> None:
    rare = {"trace_sample": 1e-12, "trace_asked_per_minute": 1}
    article = tmp_path / "article.txt"
    article.write_text(SECRET)
    async with traced(tmp_path, scripted, receiver.url, **rare) as door:
        call = ("analyze", "--server", urls(door)[0], str(article))
        quiet = await asyncio.to_thread(run, *call)
        first = await asyncio.to_thread(run, *call, "--trace")
        second = await asyncio.to_thread(run, *call, "--trace")
    (kept,) = {span.trace_id for span in received(receiver)}
    assert "trace" not in quiet[2]
    assert first[2].strip() == f"infolens: trace {kept}"
    assert second[2].startswith("infolens: no trace: the server keeps spans of few requests")
    assert quiet[0] == first[0] == second[0] == 0


def test_opentelemetry_is_never_loaded_by_the_sdk(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from infolens import Client\n"
        "from infolens.testing import FakeTransport\n"
        "from infolens._transports.traces import trace_headers\n"
        "from infolens._transports import http, http_aio, grpc\n"
        "assert trace_headers({}) == {}\n"
        "Client(transport=FakeTransport()).analyze('The striker scored twice in the final.')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
