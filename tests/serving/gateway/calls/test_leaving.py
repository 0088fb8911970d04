"""Callers who leave while the models work: what the models are told, and when the places are free again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from serving.backends.wanted import TICKET, Board
from serving.gateway.calls import inferences
from tests.serving.gateway.http.running import infer_body
from tests.serving.gateway.scripted import (
    ANSWER,
    PATIENCE_S,
    Door,
    ScriptedTriton,
    infer_request,
    opened,
    options,
    until,
    write_state,
)

Leaver = Callable[[Door], Awaitable[None]]


async def over_grpc(door: Door) -> None:
    await door.call("ModelInfer", infer_request(), timeout=None)


async def over_http(door: Door) -> None:
    url = f"http://127.0.0.1:{door.ports['http_port']}/v2/models/classify/infer"
    async with aiohttp.ClientSession() as session, session.post(url, data=infer_body()) as answer:
        await answer.read()


@pytest.fixture(params=[over_grpc, over_http])
def ask(request: pytest.FixtureRequest) -> Leaver:
    way: Leaver = request.param
    return way


async def leaves(ask: Leaver, door: Door, scripted: ScriptedTriton) -> int:
    """Somebody asks and leaves once the models have the request; its ticket."""
    scripted.answer = scripted.held
    caller = asyncio.ensure_future(ask(door))
    request = await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    caller.cancel()
    await until(lambda: door.parts.room.running == 0)
    return int(service_pb2.ModelInferRequest.FromString(request).parameters[TICKET].int64_param)


def in_flight(door: Door) -> float:
    registry = door.parts.metrics.registry
    return sum(registry.get_sample_value("infolens_requests_in_flight", {"door": one}) or 0 for one in ("grpc", "http"))


async def test_the_models_are_told_and_the_place_is_kept_until_they_are_done(
    grpc_door: Door, scripted: ScriptedTriton, ask: Leaver
) -> None:
    board, room = Board(str(grpc_door.parts.options.board_file)), grpc_door.parts.room
    ticket = await leaves(ask, grpc_door, scripted)
    await until(lambda: board.has_left(ticket))
    assert (in_flight(grpc_door), room.running, room.waiting, room.kept) == (0, 0, 0, 1)
    assert grpc_door.parts.metrics.registry.get_sample_value("infolens_waiting_room_kept") == 1
    assert scripted.left.empty(), "the call was given up, and with it the sign that the models are free"
    scripted.let_go.set()
    await until(lambda: room.kept == 0)


async def test_nobody_else_gets_the_place_before(grpc_door: Door, scripted: ScriptedTriton, ask: Leaver) -> None:
    room = grpc_door.parts.room
    for _ in range(12):  # as many as may run
        await leaves(ask, grpc_door, scripted)
    following = grpc_door.call("ModelInfer", infer_request())
    other = grpc_door.call("ModelInfer", infer_request("verify"))
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    await until(lambda: room.waiting == 1)
    assert (room.kept, room.running, room.waiting) == (12, 1, 1)  # another branch is free
    scripted.let_go.set()
    assert [await following, await other] == [ANSWER] * 2
    await until(lambda: room.kept == 0)


async def test_what_replicas_are_added_by_is_shown(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    asked = [grpc_door.call("ModelInfer", infer_request()) for _ in range(13)]  # one more than may run
    room = grpc_door.parts.room
    await until(lambda: room.waiting == 1)
    show = grpc_door.parts.metrics.registry.get_sample_value
    names = ("running", "waiting", "places")
    assert [show(f"infolens_waiting_room_{name}") for name in names] == [12, 1, 12]
    scripted.let_go.set()
    assert [await one for one in asked] == [ANSWER] * 13


async def test_who_stays_is_not_on_the_board(grpc_door: Door, scripted: ScriptedTriton) -> None:
    await grpc_door.call("ModelInfer", infer_request())
    request = service_pb2.ModelInferRequest.FromString(scripted.arrived.get_nowait())
    board = Board(str(grpc_door.parts.options.board_file))
    assert not board.has_left(request.parameters[TICKET].int64_param)
    assert grpc_door.parts.room.kept == 0


async def test_a_place_is_kept_for_no_longer_than_anything_can_take(
    grpc_door: Door, scripted: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inferences, "KEEP_S", 0.0)
    await leaves(over_grpc, grpc_door, scripted)
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)
    await until(lambda: grpc_door.parts.room.kept == 0)


async def test_a_place_is_free_when_a_model_of_the_call_dies(grpc_door: Door, scripted: ScriptedTriton) -> None:
    await leaves(over_grpc, grpc_door, scripted)
    write_state(grpc_door.parts.options.state_file, died={"distilbert": 1000.0})
    grpc_door.parts.inferences.look()
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)
    await until(lambda: grpc_door.parts.room.kept == 0)


async def test_an_error_that_nobody_hears_frees_the_place_too(
    grpc_door: Door, scripted: ScriptedTriton, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await scripted.let_go.wait()
        await context.abort(grpc.StatusCode.CANCELLED, "the request was cancelled")
        raise AssertionError

    held, scripted.held = scripted.held, refuse  # type: ignore[method-assign]
    await leaves(over_grpc, grpc_door, scripted)
    scripted.let_go.set()
    await until(lambda: grpc_door.parts.room.kept == 0)
    scripted.answer = held
    assert await grpc_door.call("ModelInfer", infer_request()) == ANSWER
    assert "never retrieved" not in caplog.text


async def test_without_a_place_the_call_is_cancelled_at_once(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    request = infer_request().SerializeToString()
    call = asyncio.ensure_future(grpc_door.parts.inferences.infer(request, "classify", ("classify",)))
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    call.cancel()
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)


async def test_a_door_that_ends_waits_for_nobody_who_has_left(tmp_path: Path, scripted: ScriptedTriton) -> None:
    async with scripted.listening() as address:
        async with opened(options(tmp_path, address)) as door:
            await leaves(over_grpc, door, scripted)
        await asyncio.wait_for(scripted.left.get(), PATIENCE_S)
