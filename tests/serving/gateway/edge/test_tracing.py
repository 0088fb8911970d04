"""Spans of some requests, sent to a real receiver; the door alone chooses which."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.load.trace.otlp import Span, SpanReceiver, parse
from serving.edge.options import EdgeOptions
from serving.gateway.configuration import GatewayLimits
from serving.gateway.edge import tracing
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.scripted import Door, ScriptedTriton, infer_request, opened, options, until

SECRET = "The minister's cat was seen near the old bridge over the harbour on Monday."
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FROM_CALLER = f"00-{TRACE}-{PARENT}-00"


@asynccontextmanager
async def traced(folder: Path, scripted: ScriptedTriton, url: str, **more: Any) -> AsyncIterator[Door]:
    fake = make_fake()
    scripted.answer = lambda request, _: fake.infer(request)
    edge = EdgeOptions(trace_url=url, **{"trace_sample": 1.0, **more})
    async with scripted.listening() as address, opened(options(folder, address, edge=edge)) as door:
        yield door


async def analyze(door: Door, text: str = SECRET, **headers: str) -> tuple[dict[str, Any], Any]:
    url = f"http://127.0.0.1:{door.ports['http_port']}/v1/analyze"
    async with aiohttp.ClientSession() as session, session.post(url, json={"text": text}, headers=headers) as answer:
        return await answer.json(content_type=None), answer.headers


def by_name(spans: tuple[Span, ...]) -> dict[str, Span]:
    return {span.name: span for span in spans}


async def test_a_request_is_one_tree_without_a_word_of_the_article(tmp_path: Path, scripted: ScriptedTriton) -> None:
    with SpanReceiver() as receiver:
        bodies: list[bytes] = []
        take = receiver.take
        receiver.take = lambda body, *, is_json: (bodies.append(body), take(body, is_json=is_json))[1]  # type: ignore[method-assign,func-returns-value]
        async with traced(tmp_path, scripted, receiver.url) as door:
            _, headers = await analyze(door)
            problem, refused = await analyze(door, text="")
            line = next(one for one in door.lines() if one["event"] == "answered")
        whole, invalid = receiver.wait_for(2)
    spans = by_name(whole)
    root = spans["analyze"]
    assert spans["ModelInfer"].parent_id == root.span_id
    assert root.trace_id == headers["X-Trace-Id"] == line["trace_id"]
    assert root.attributes == {
        "infolens.door": "http",
        "http.response.status_code": 200,
        "infolens.request_id": headers["X-Request-Id"],
    }
    assert root.start_ns <= spans["ModelInfer"].start_ns < spans["ModelInfer"].end_ns <= root.end_ns
    assert problem["status"] == by_name(invalid)["analyze"].attributes["http.response.status_code"] == 400
    assert refused["X-Trace-Id"] == invalid[0].trace_id
    assert bodies
    assert not any(word in body for body in bodies for word in (b"minister", b"harbour", b"summary"))


async def test_a_wait_is_a_span_of_its_own(tmp_path: Path, scripted: ScriptedTriton) -> None:
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url) as door:
            fake = make_fake()

            async def held(request: bytes, _: Any) -> bytes:
                await scripted.let_go.wait()
                return await fake.infer(request)

            scripted.answer = held
            asked = [asyncio.create_task(analyze(door)) for _ in range(13)]
            await until(lambda: door.parts.room.waiting == 1)
            scripted.let_go.set()
            await asyncio.gather(*asked)
        traces = receiver.wait_for(13)
    assert [("waiting" in by_name(spans)) for spans in traces].count(True) == 1


async def test_grpc_calls_have_theirs(tmp_path: Path, scripted: ScriptedTriton) -> None:
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url) as door:
            call = door.call("ModelInfer", infer_request())
            await call
            answered = dict(await call.initial_metadata())["x-trace-id"]
            await door.refused("ModelInfer", infer_request("nobody"))
            await door.call("ServerLive")  # a probe has none
            assert door.lines()[0]["trace_id"] == answered
        good, bad = receiver.wait_for(2)
        assert len(receiver._traces) == 2
    root = next(span for span in good if not span.parent_id)
    assert (root.name, root.trace_id) == ("ModelInfer", answered)
    assert root.attributes == {"infolens.door": "grpc", "rpc.response.status_code": "OK"}
    root = next(span for span in bad if not span.parent_id)
    assert root.attributes["rpc.response.status_code"] == "NOT_FOUND"


async def test_a_caller_s_trace_is_continued_but_nothing_of_it_reaches_triton(
    tmp_path: Path, scripted: ScriptedTriton
) -> None:
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url) as door:
            _, headers = await analyze(door, traceparent=FROM_CALLER, tracestate="a=b")
            await door.call("ModelInfer", infer_request(), metadata=(("traceparent", FROM_CALLER),))
            _, others = await analyze(door, traceparent=f"00-{'0' * 32}-{PARENT}-01")
        spans = [span for body, is_json in receiver._unread for span in parse(body, is_json=is_json)]
    assert headers["X-Trace-Id"] == TRACE
    assert others["X-Trace-Id"] not in (TRACE, "0" * 32)
    assert sum(span.trace_id == TRACE and span.parent_id == PARENT for span in spans) == 2
    assert not any("traceparent" in metadata or "tracestate" in metadata for _, _, metadata in scripted.asked)


async def test_the_models_add_theirs_to_the_door_s_where_that_was_said(
    tmp_path: Path, scripted: ScriptedTriton
) -> None:
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url, trace_models=True) as door:
            await analyze(door, traceparent=FROM_CALLER)
        (body, is_json), *_ = receiver._unread
        asked = by_name(tuple(parse(body, is_json=is_json)))["ModelInfer"]
    given = [metadata["traceparent"] for method, _, metadata in scripted.asked if method == "ModelInfer"]
    assert given == [f"00-{TRACE}-{asked.span_id}-01"]


async def test_a_caller_cannot_have_its_requests_traced(
    tmp_path: Path, scripted: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([0.2, 0.3, 0.1999, 0.9])
    monkeypatch.setattr(random, "random", lambda: next(drawn))
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url, trace_sample=0.2) as door:
            answers = [(await analyze(door, traceparent=f"{FROM_CALLER[:-2]}01"))[1] for _ in range(4)]
        assert ["X-Trace-Id" in headers for headers in answers] == [False, False, True, False]


async def test_off_means_off(tmp_path: Path, scripted: ScriptedTriton) -> None:
    async with traced(tmp_path, scripted, "", trace_sample=0.0) as door:
        _, headers = await analyze(door, traceparent=FROM_CALLER)
        assert "X-Trace-Id" not in headers
        assert "trace_id" not in door.lines()[0]


async def test_a_batch_has_so_many_spans_and_no_more(
    tmp_path: Path, scripted: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "_MAX_PARTS", 5)
    rows = "\n".join([json.dumps({"text": SECRET})] * 20)
    with SpanReceiver() as receiver:
        async with traced(tmp_path, scripted, receiver.url) as door, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{door.ports['http_port']}/v1/analyze/batch"
            async with session.post(url, data=rows) as answer:
                assert len((await answer.read()).splitlines()) == 20
                assert answer.headers["X-Trace-Id"]
        (spans,) = receiver.wait_for(1)
    assert len(spans) == 1 + 5


async def test_a_collector_that_is_away_harms_nobody(tmp_path: Path, scripted: ScriptedTriton) -> None:
    with SpanReceiver() as receiver:
        url = receiver.url
    limits = GatewayLimits(exit_timeout_s=1)
    edge = EdgeOptions(trace_url=url, trace_sample=1.0)
    fake = make_fake()
    scripted.answer = lambda request, _: fake.infer(request)
    async with scripted.listening() as address, opened(options(tmp_path, address, edge=edge, limits=limits)) as door:
        found, headers = await analyze(door)
        assert found["summary"]["text"] == "A summary."
        assert headers["X-Trace-Id"]
