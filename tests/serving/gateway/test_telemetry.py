"""What the door counts and logs, and how an overload looks from outside."""

from __future__ import annotations

import asyncio
import json
import logging
from io import BytesIO
from pathlib import Path

import aiohttp
import grpc
import pytest
from aiohttp import web

from infolens import AsyncClient, RequestTimeoutError, ServerOverloadedError
from serving.gateway.logs import LibraryLog, open_log, request_id
from tests.serving.gateway.scripted import (
    PATIENCE_S,
    Door,
    ScriptedTriton,
    infer_request,
    opened,
    options,
    until,
    write_state,
)

SECRET = "the minister's cat"


async def metrics(door: Door) -> dict[str, float]:
    """Everything of ``/metrics``, by name and labels."""
    status, text = await got(door, "/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def got(door: Door, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{door.ports['metrics_port']}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_requests_are_counted_by_route_and_code(grpc_door: Door) -> None:
    await grpc_door.call("ModelInfer", infer_request())
    await grpc_door.refused("ModelInfer", infer_request("nobody"))
    await grpc_door.refused("RepositoryIndex")
    seen = await metrics(grpc_door)
    count = 'infolens_request_seconds_count{code="%s",door="grpc",model="%s",route="%s"}'
    assert seen[count % ("OK", "classify", "infer")] == 1
    assert seen[count % ("NOT_FOUND", "", "infer")] == 1
    assert seen['infolens_requests_refused_total{door="grpc",reason="not_found"}'] == 1
    assert seen['infolens_requests_refused_total{door="grpc",reason="forbidden"}'] == 1
    assert any(name.startswith("infolens_build_info{") for name in seen)
    assert any(name.startswith('infolens_request_seconds_bucket{code="OK"') and 'le="0.001"' in name for name in seen)


async def test_the_supervisor_s_verdict_is_shown(grpc_door: Door) -> None:
    path = grpc_door.parts.options.state_file
    write_state(path, models={"verify": False}, heals=2, triton={"pid": None, "restarts": 5})
    seen = await metrics(grpc_door)
    assert seen["infolens_ready"] == seen["infolens_supervised"] == 1
    assert seen['infolens_model_ready{model="verify"}'] == 0
    assert seen['infolens_model_ready{model="classify"}'] == 1
    assert (seen["infolens_triton_restarts_total"], seen["infolens_heals_total"]) == (5, 2)
    assert (await got(grpc_door, "/health/ready"))[0] == 200
    write_state(path, ready=False)
    status, text = await got(grpc_door, "/health/ready")
    assert (status, json.loads(text)["reason"]) == (503, "Triton is being started again")
    assert (await got(grpc_door, "/health/live"))[0] == 200
    write_state(path, age_s=60)
    assert (await got(grpc_door, "/health/live"))[0] == 503
    assert (await metrics(grpc_door))['infolens_model_ready{model="classify"}'] == 0


async def test_triton_s_metrics_pass_through(scripted: ScriptedTriton, tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="nv_cpu_utilization 0.5\n")

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    async with scripted.listening() as address, opened(options(tmp_path, address, triton_metrics=url)) as door:
        assert await got(door, "/metrics/triton") == (200, "nv_cpu_utilization 0.5\n")
        await runner.cleanup()
        assert (await got(door, "/metrics/triton"))[0] == 503
        assert (await metrics(door))["infolens_triton_metrics_failures_total"] == 1


async def test_an_overload_is_refused_in_words_that_the_sdk_knows(grpc_door: Door, scripted: ScriptedTriton) -> None:
    """12 run and as many may wait, however long: the pace is known to be slow."""
    scripted.answer = scripted.held
    room = grpc_door.parts.room
    first = grpc_door.call("ModelInfer", infer_request())
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    scripted.let_go.set()
    await first
    room._branches["classify"].interval_s = 60.0
    scripted.let_go.clear()
    calls = [grpc_door.call("ModelInfer", infer_request(), timeout=None) for _ in range(24)]
    await until(lambda: (room.running, room.waiting) == (12, 12))
    seen = await metrics(grpc_door)
    assert (seen["infolens_waiting_room_running"], seen["infolens_waiting_room_waiting"]) == (12, 12)
    assert seen['infolens_requests_in_flight{door="grpc"}'] == 24
    code, words = await grpc_door.refused("ModelInfer", infer_request(), timeout=None)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "the server is busy: 24 requests are ahead" in words
    async with AsyncClient(f"grpc://127.0.0.1:{grpc_door.ports['grpc_port']}") as client:
        with pytest.raises(ServerOverloadedError):
            await client.classify("Oil rises after the output was cut again.", timeout_s=5)
    seen = await metrics(grpc_door)
    assert seen['infolens_waiting_room_refused_total{reason="wait_too_long"}'] == 2
    assert seen['infolens_requests_refused_total{door="grpc",reason="busy"}'] == 2
    for call in calls:
        call.cancel()
    await until(lambda: (room.running, room.waiting) == (0, 0))


async def test_a_time_out_reaches_the_sdk_as_one(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    async with AsyncClient(f"grpc://127.0.0.1:{grpc_door.ports['grpc_port']}") as client:
        with pytest.raises(RequestTimeoutError):
            await client.classify("Oil rises after the output was cut again.", timeout_s=0.3)


async def test_a_line_says_what_happened_and_nothing_that_was_said(grpc_door: Door, scripted: ScriptedTriton) -> None:
    await grpc_door.call("ModelInfer", infer_request(text=SECRET, id="order-7"))
    await grpc_door.call("ModelInfer", infer_request(text=SECRET, id=SECRET))
    await grpc_door.refused("ModelInfer", infer_request(SECRET))
    await grpc_door.refused("ModelInfer", infer_request(outputs=(SECRET,)))
    await grpc_door.call("ServerReady")
    assert SECRET.encode() not in grpc_door.log.getvalue()
    answered, other, unknown, invalid = grpc_door.lines()
    assert answered.pop("ms") > 0
    assert answered.pop("time")
    size = len(infer_request(text=SECRET, id="order-7").SerializeToString())
    assert answered == {
        "event": "answered",
        "level": "info",
        "request_id": "order-7",
        "door": "grpc",
        "route": "infer",
        "model": "classify",
        "code": "OK",
        "bytes_in": size,
        "bytes_out": 13,
        "address": "127.0.0.1",
    }
    assert len(other["request_id"]) == 16
    assert (unknown["event"], unknown["reason"], unknown["model"]) == ("refused", "not_found", "")
    assert (invalid["code"], invalid["model"]) == ("INVALID_ARGUMENT", "classify")


async def test_lines_of_what_was_answered_can_be_left_out(scripted: ScriptedTriton, tmp_path: Path) -> None:
    async with scripted.listening() as address, opened(options(tmp_path, address, log_requests=False)) as door:
        await door.call("ModelInfer", infer_request())
        await door.refused("ModelInfer", infer_request("nobody"))
        assert [line["event"] for line in door.lines()] == ["refused"]


async def test_a_fault_of_the_door_s_own_is_logged_and_told(grpc_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("serving.gateway.grpc_door.service.check_request", broken)
    code, words = await grpc_door.refused("ModelInfer", infer_request(text=SECRET))
    assert (code, words) == (grpc.StatusCode.INTERNAL, "the server failed on this request: its log says why")
    failed, refused = grpc_door.lines()
    assert failed["error"] == "ZeroDivisionError"
    assert failed["places"][-1].endswith("broken")
    assert refused["reason"] == "failed"
    assert SECRET not in str(failed)


KEY = f"il_{'k-_3' * 11}"[:46]
"""What has the form of a key of a caller."""


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", 'a"b', "line\n", "ümlaut", KEY, f"id:{KEY}"])
def test_an_id_that_may_be_text_is_replaced(given: str) -> None:
    assert request_id(given) != given
    assert request_id("0af7651916cd-43.dd:8448/x") == "0af7651916cd-43.dd:8448/x"


def test_what_libraries_log_is_told_without_what_callers_sent() -> None:
    content = BytesIO()
    logger = logging.Logger("library")
    logger.addHandler(LibraryLog(open_log(content)))
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("cannot read %s", SECRET)
    logger.warning(f"cannot read {SECRET}")
    first, second = (json.loads(line) for line in content.getvalue().splitlines())
    assert (first["words"], first["error"], first["logger"]) == ("cannot read %s", "ValueError", "library")
    assert (second["words"], second["severity"]) == ("", "WARNING")
    assert SECRET.encode() not in content.getvalue()


def test_a_log_that_cannot_be_written_fails_nothing() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        open_log(full).info("answered", code="OK")
