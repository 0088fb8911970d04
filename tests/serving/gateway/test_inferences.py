"""Inferences that Triton never answers because a model has died, and what a death and a restart make the door ask."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from infolens import AsyncClient, RetryPolicy, ServerUnavailableError
from tests.serving.gateway.http.running import infer_body
from tests.serving.gateway.scripted import (
    ANSWER,
    PATIENCE_S,
    Door,
    ScriptedTriton,
    infer_request,
    until,
    write_state,
)

WORDS = "the model '%s' was restarted while it computed this: send the request again"


def tell(door: Door, died: dict[str, float], **more: Any) -> None:
    """Have the supervisor say when models have died."""
    write_state(door.parts.options.state_file, died=died, **more)


def configurations(scripted: ScriptedTriton) -> int:
    """How often a configuration was asked for."""
    return sum(method == "ModelConfig" for method, _, _ in scripted.asked)


@pytest.mark.parametrize(
    ("model", "outputs", "dead"),
    [
        ("classify", (), "distilbert"),
        ("classify", (), "distilbert_labels"),
        ("info_lens", (), "bart"),
        ("info_lens", ("category",), "info_lens"),
        ("info_lens", ("category",), "distilbert_tokenizer"),
    ],
)
async def test_a_call_through_a_model_that_has_died_is_ended(
    grpc_door: Door, scripted: ScriptedTriton, model: str, outputs: tuple[str, ...], dead: str
) -> None:
    scripted.answer = scripted.held
    call = grpc_door.call("ModelInfer", infer_request(model, outputs=outputs), timeout=None)
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    tell(grpc_door, {dead: 1000.0}, models={dead: False})
    async with asyncio.timeout(PATIENCE_S):
        assert (await call.code(), await call.details()) == (grpc.StatusCode.UNAVAILABLE, WORDS % dead)
        await scripted.left.get()  # nobody works on it any more
    assert grpc_door.parts.room.running == 0
    refused = grpc_door.lines()[-1]
    assert (refused["event"], refused["reason"], refused["words"]) == ("refused", "away", WORDS % dead)


async def test_http_callers_are_told_too(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    url = f"http://127.0.0.1:{grpc_door.ports['http_port']}/v2/models/verify/infer"
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
        call = asyncio.ensure_future(session.post(url, data=infer_body()))
        await scripted.arrived.get()
        tell(grpc_door, {"xlnet": 1000.0})
        async with await call as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert (await answer.json())["error"] == WORDS % "xlnet"


async def test_other_calls_go_on(grpc_door: Door, scripted: ScriptedTriton) -> None:
    """Those that do not pass through the model, and those that began when its death was known."""
    scripted.answer = scripted.held
    tell(grpc_door, {"bart": 1000.0})
    first = [infer_request("verify"), infer_request("info_lens", outputs=("category", "veracity"))]
    calls = [grpc_door.call("ModelInfer", one) for one in [*first, infer_request("summarize")]]
    for _ in calls:
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    tell(grpc_door, {"bart": 1000.0}, heals=1)
    grpc_door.parts.inferences.look()
    calls[2].cancel()
    await until(lambda: grpc_door.parts.room.kept == 1)  # the models are not done with it
    tell(grpc_door, {"bart": 2000.0})
    grpc_door.parts.inferences.look()
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)  # the one that died will not be
    calls.append(grpc_door.call("ModelInfer", infer_request("summarize")))
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    grpc_door.parts.inferences.look()
    scripted.let_go.set()
    assert [await call for call in (*calls[:2], calls[3])] == [ANSWER] * 3


async def test_a_verdict_that_cannot_be_read_for_a_while_is_no_death(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    tell(grpc_door, {"bart": 1000.0})
    calls = [grpc_door.call("ModelInfer", infer_request(name)) for name in ("summarize", "classify")]
    for _ in calls:
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    look = grpc_door.parts.inferences.look
    grpc_door.parts.options.state_file.write_text("{")
    look()
    tell(grpc_door, {"bart": 1000.0})
    look()
    grpc_door.parts.options.state_file.unlink()
    look()
    tell(grpc_door, {"bart": 1000.0, "distilbert": 900.0})  # the clock was set back: a death all the same
    look()
    scripted.let_go.set()
    assert await calls[0] == ANSWER
    assert await calls[1].details() == WORDS % "distilbert"


async def test_the_sdk_asks_again(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    url = f"grpc://127.0.0.1:{grpc_door.ports['grpc_port']}"
    async with AsyncClient(url, retries=RetryPolicy(attempts=2, backoff_s=0.0)) as client:
        call = asyncio.ensure_future(client.classify("Oil rises after the output was cut again.", timeout_s=PATIENCE_S))
        for died_at_s in (1000.0, 2000.0):
            await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
            tell(grpc_door, {"distilbert": died_at_s})
        with pytest.raises(ServerUnavailableError, match="was restarted while it computed this"):
            await call


async def test_nobody_looks_when_nothing_runs(grpc_door: Door) -> None:
    await grpc_door.call("ModelInfer", infer_request())
    inferences = grpc_door.parts.inferences
    async with asyncio.timeout(PATIENCE_S):
        while inferences._next_look is not None:  # noqa: ASYNC110
            await asyncio.sleep(inferences._next_look.when() - asyncio.get_running_loop().time())
    assert not inferences._running


async def test_after_a_restart_of_triton_its_models_are_asked_for_anew(
    grpc_door: Door, scripted: ScriptedTriton
) -> None:
    for _ in range(2):
        await grpc_door.call("ModelInfer", infer_request())
    assert configurations(scripted) == 14
    tell(grpc_door, {}, triton={"pid": 2, "restarts": 1})
    for _ in range(2):
        await grpc_door.call("ModelInfer", infer_request())
    assert configurations(scripted) == 28


async def test_an_answer_that_triton_is_away_makes_the_door_ask_anew(
    grpc_door: Door, scripted: ScriptedTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(grpc.StatusCode.INTERNAL, "Stub process 'distilbert_0_0' is not healthy.")
        raise AssertionError

    catalogue = grpc_door.parts.catalogue
    await grpc_door.call("ModelInfer", infer_request())
    asked_s = catalogue._asked_s
    assert asked_s is not None
    monkeypatch.setattr(catalogue, "_now", lambda: asked_s + 2)
    scripted.answer = refuse
    assert (await grpc_door.refused("ModelInfer", infer_request()))[0] is grpc.StatusCode.UNAVAILABLE
    assert configurations(scripted) == 14
    for _ in range(3):  # within one second
        await grpc_door.refused("ModelInfer", infer_request())
    assert configurations(scripted) == 28


async def test_classes_are_ranked_by_the_door_with_their_labels(grpc_door: Door, scripted: ScriptedTriton) -> None:
    """Triton never hears of it: it would die of some of these, and knows no labels for others."""
    response = service_pb2.ModelInferResponse(model_name="info_lens", model_version="1", id="7")
    response.outputs.add(name="veracity_probabilities", datatype="FP32", shape=[1, 2])
    response.outputs.add(name="veracity", datatype="BYTES", shape=[1, 1])
    response.raw_output_contents.extend([b"\x00\x00\x80\x3e\x00\x00\x40\x3f", b"\x04\x00\x00\x00fake"])

    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        context.set_trailing_metadata((("cost", "3"),))
        content: bytes = response.SerializeToString()
        return content

    scripted.answer = answer
    request = infer_request("info_lens", outputs=("veracity_probabilities", "veracity"), id="7")
    plain = request.SerializeToString()
    assert await grpc_door.call("ModelInfer", request) == response.SerializeToString()
    request.outputs[0].parameters["classification"].int64_param = 2
    call = grpc_door.call("ModelInfer", request)
    ranked = service_pb2.ModelInferResponse.FromString(await call)
    assert ("cost", "3") in tuple(await call.trailing_metadata())
    assert (ranked.id, ranked.outputs[0].datatype, list(ranked.outputs[0].shape)) == ("7", "BYTES", [1, 2])
    lines = [b"0.750000:1:fake", b"0.250000:0:real"]
    assert ranked.raw_output_contents[0] == b"".join(len(one).to_bytes(4, "little") + one for one in lines)
    assert (ranked.outputs[1], ranked.raw_output_contents[1]) == (response.outputs[1], response.raw_output_contents[1])
    assert [scripted.arrived.get_nowait()[: len(plain)] for _ in range(2)] == [plain, plain]


async def test_a_caller_that_leaves_is_no_death(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    call = grpc_door.call("ModelInfer", infer_request())
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    call.cancel()
    await until(lambda: grpc_door.parts.room.kept == 1)
    scripted.let_go.set()
    await until(lambda: not grpc_door.parts.inferences._running)
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert [line["event"] for line in grpc_door.lines()] in ([], ["answered"])
