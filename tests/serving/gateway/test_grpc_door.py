"""What the gRPC door passes on and what it refuses, before a Triton that is made up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tritonclient.grpc import service_pb2

from serving.gateway.calls.told import DEADLINE, TICKET
from serving.gateway.configuration import GatewayLimits
from tests.serving.gateway.scripted import (
    ADMIN,
    ANSWER,
    KEY,
    PATIENCE_S,
    SERVICE,
    TRITON_KEY,
    Door,
    ScriptedTriton,
    infer_request,
    opened,
    options,
)

THERE = "there are classify, info_lens, summarize, verify"
Code = grpc.StatusCode
UNKNOWN_FIELD = b"\xfa\x7f\x03new"
"""A field of a later version of the protocol (number 2047)."""


async def test_the_bytes_of_request_and_answer_pass_unchanged(grpc_door: Door, scripted: ScriptedTriton) -> None:
    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return ANSWER + UNKNOWN_FIELD

    scripted.answer = answer
    request = infer_request(id="7").SerializeToString() + UNKNOWN_FIELD
    assert await grpc_door.call("ModelInfer", request, timeout=None) == ANSWER + UNKNOWN_FIELD
    passed_on = scripted.arrived.get_nowait()
    assert passed_on.startswith(request)
    added = service_pb2.ModelInferRequest.FromString(passed_on[len(request) :])
    assert added.parameters.pop(TICKET).int64_param > 0
    assert added == service_pb2.ModelInferRequest()


async def test_a_caller_s_deadline_is_the_upstream_s(grpc_door: Door, scripted: ScriptedTriton) -> None:
    timed = infer_request()
    timed.parameters["timeout"].int64_param = 20_000_000
    await grpc_door.call("ModelInfer", infer_request(), timeout=20)
    await grpc_door.call("ModelInfer", timed, timeout=None)
    await grpc_door.call("ModelInfer", timed, timeout=10)
    await grpc_door.call("ModelInfer", infer_request(), timeout=None)
    *timed_s, endless_s = scripted.remaining_s
    for left_s, most_s in zip(timed_s, (20, 20, 10), strict=True):
        assert left_s is not None
        assert left_s < most_s + 1  # gRPC's clock and ours differ by a little
    assert endless_s is None or endless_s > 1e6


async def test_the_models_are_told_until_when_an_answer_is_of_use(grpc_door: Door, scripted: ScriptedTriton) -> None:
    lied = infer_request()
    lied.parameters[DEADLINE].int64_param = lied.parameters[TICKET].int64_param = 1
    lied.parameters["partial"].bool_param = True
    before_us = 1e6 * time.monotonic()
    await grpc_door.call("ModelInfer", lied, timeout=20)
    told = service_pb2.ModelInferRequest.FromString(scripted.arrived.get_nowait())
    assert before_us + 19e6 < told.parameters.pop(DEADLINE).int64_param < 1e6 * time.monotonic() + 21e6
    assert told.parameters.pop(TICKET).int64_param > 1
    del lied.parameters[DEADLINE], lied.parameters[TICKET]
    assert told == lied


async def test_a_request_s_own_time_out_is_kept_without_any_of_its_call(
    grpc_door: Door, scripted: ScriptedTriton
) -> None:
    scripted.answer = scripted.held
    timed = infer_request()
    timed.parameters["timeout"].int64_param = 300_000
    code, words = await grpc_door.refused("ModelInfer", timed, timeout=None)
    assert code is Code.DEADLINE_EXCEEDED
    assert "Request timeout expired" in words
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)


async def test_when_the_deadline_is_over_nobody_works_on_the_request(grpc_door: Door, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    code, _ = await grpc_door.refused("ModelInfer", infer_request(), timeout=0.3)
    assert code is Code.DEADLINE_EXCEEDED
    await asyncio.wait_for(scripted.left.get(), PATIENCE_S)


async def test_triton_s_refusals_keep_code_words_and_trailers(grpc_door: Door, scripted: ScriptedTriton) -> None:
    async def refuse(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.abort(Code.INTERNAL, "in ensemble 'classify', no luck", (("why", "weather"),))
        raise AssertionError

    scripted.answer = refuse
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_door.call("ModelInfer", infer_request())
    assert caught.value.code() is Code.INTERNAL
    assert caught.value.details() == "in ensemble 'classify', no luck"
    assert ("why", "weather") in tuple(caught.value.trailing_metadata())


async def test_trailers_of_an_answer_pass_through(grpc_door: Door, scripted: ScriptedTriton) -> None:
    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        context.set_trailing_metadata((("cost", "3"),))
        return ANSWER

    scripted.answer = answer
    call = grpc_door.call("ModelInfer", infer_request())
    await call
    assert ("cost", "3") in tuple(await call.trailing_metadata())


async def test_no_header_of_a_caller_reaches_triton(grpc_door: Door, scripted: ScriptedTriton) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await grpc_door.call("ModelInfer", infer_request(), metadata=(("traceparent", trace), (ADMIN, KEY)))
    (_, _, metadata) = scripted.asked[-1]
    assert metadata.keys() <= {"user-agent"}


async def test_only_public_models_are_known(grpc_door: Door, scripted: ScriptedTriton, tmp_path: Path) -> None:
    for method in ("ModelInfer", "ModelConfig", "ModelMetadata", "ModelStatistics"):
        for name in ("bart", "nobody"):
            code, words = await grpc_door.refused(method, service_pb2.ModelConfigRequest(name=name))
            assert (code, words) == (Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found: {THERE}")
    statistics = service_pb2.ModelStatisticsResponse.FromString(await grpc_door.call("ModelStatistics"))
    assert {one.name for one in statistics.model_stats} == {"classify", "info_lens", "summarize", "verify"}
    exposed = options(tmp_path, grpc_door.parts.options.triton_grpc, expose_internal=True)
    async with opened(exposed) as door:
        assert await door.call("ModelConfig", service_pb2.ModelConfigRequest(name="bart"))


async def test_what_kills_triton_never_reaches_it(grpc_door: Door, scripted: ScriptedTriton) -> None:
    ranked = infer_request(outputs=("category",))
    ranked.outputs[0].parameters["classification"].int64_param = 1
    huge = infer_request()
    huge.inputs[0].shape[0] = 2**31
    shared = infer_request()
    shared.inputs[0].parameters["shared_memory_region"].string_param = "mine"
    twice = infer_request()
    twice.inputs[0].contents.bytes_contents.append(b"again")
    wrong = service_pb2.ModelInferRequest(model_name="classify")
    wrong.inputs.add(name="text", datatype="BYTES", shape=[1, 1]).contents.int_contents.append(1)
    for message in (ranked, huge, shared, twice, wrong, service_pb2.ModelInferRequest(model_name="classify")):
        code, words = await grpc_door.refused("ModelInfer", message)
        assert code is Code.INVALID_ARGUMENT
        assert words
    assert scripted.arrived.empty()


async def test_what_is_too_large_or_garbled_is_refused(grpc_door: Door, scripted: ScriptedTriton) -> None:
    limit = grpc_door.parts.options.limits.max_body_bytes
    for content, expected in (
        (infer_request(text="x" * limit).SerializeToString(), f"at most {limit} bytes"),
        (infer_request().SerializeToString() + b"\x2a\x00" * 1000, "at most 16 inputs"),
        (b"\x0a\x00" * 1000, "repeats fields"),
        (b"\xff\xff", "not a ModelInferRequest"),
    ):
        code, words = await grpc_door.refused("ModelInfer", content)
        assert code is Code.INVALID_ARGUMENT
        assert expected in words
    code, _ = await grpc_door.refused("ModelInfer", b"x" * (2 * limit + 1))
    assert code is Code.RESOURCE_EXHAUSTED
    assert scripted.arrived.empty()


async def test_metadata_has_a_limit(grpc_door: Door) -> None:
    limit = grpc_door.parts.options.limits.max_header_bytes
    assert await grpc_door.call("ServerLive", metadata=(("note", "x" * (limit // 2)),))
    code, words = await grpc_door.refused("ServerLive", metadata=(("note", "x" * (limit + 1)),))
    assert code is Code.RESOURCE_EXHAUSTED
    assert "metadata size" in words


async def test_admin_calls_need_the_key(grpc_door: Door, scripted: ScriptedTriton) -> None:
    for metadata in ((), ((ADMIN, "guessed"),), ((ADMIN, ""),)):
        code, words = await grpc_door.refused("RepositoryIndex", metadata=metadata)
        assert code is Code.UNAVAILABLE
        assert words == f"This protocol is restricted, expecting header '{ADMIN}'"
    assert not [method for method, _, _ in scripted.asked if method == "RepositoryIndex"]
    await grpc_door.call("RepositoryIndex", metadata=((ADMIN, KEY),))
    assert scripted.asked[-1][0] == "RepositoryIndex"
    assert scripted.asked[-1][2][ADMIN] == TRITON_KEY
    assert (await grpc_door.refused("RepositoryIndex", metadata=((ADMIN, TRITON_KEY),)))[0] is Code.UNAVAILABLE


async def test_without_a_key_of_its_own_a_door_opens_to_none(scripted: ScriptedTriton, tmp_path: Path) -> None:
    async with scripted.listening() as address, opened(options(tmp_path, address, admin_key="")) as door:
        assert (await door.refused("RepositoryIndex", metadata=((ADMIN, ""),)))[0] is Code.UNAVAILABLE


@pytest.mark.parametrize("kind", ["System", "Cuda"])
@pytest.mark.parametrize("verb", ["Status", "Register", "Unregister"])
async def test_shared_memory_is_closed_to_everybody(
    grpc_door: Door, scripted: ScriptedTriton, kind: str, verb: str
) -> None:
    code, _ = await grpc_door.refused(f"{kind}SharedMemory{verb}", metadata=((ADMIN, KEY),))
    assert code is Code.PERMISSION_DENIED
    assert scripted.asked == []


async def test_what_is_not_offered_is_unimplemented(grpc_door: Door) -> None:
    assert (await grpc_door.refused("Nothing"))[0] is Code.UNIMPLEMENTED
    assert (await grpc_door.refused("Check", service="grpc.reflection.v1.ServerReflection"))[0] is Code.UNIMPLEMENTED
    stream = grpc_door.channel.stream_stream(f"/{SERVICE}/ModelStreamInfer")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stream(iter([infer_request().SerializeToString()]), timeout=PATIENCE_S):
            pass
    assert caught.value.code() is Code.UNIMPLEMENTED
    assert "ModelInfer" in (caught.value.details() or "")


async def test_a_message_that_does_not_come_is_given_up(scripted: ScriptedTriton, tmp_path: Path) -> None:
    limits = GatewayLimits(max_body_time_s=0.1)
    async with scripted.listening() as address, opened(options(tmp_path, address, limits=limits)) as door:
        call = door.channel.stream_unary(f"/{SERVICE}/ModelInfer")(timeout=PATIENCE_S)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is Code.DEADLINE_EXCEEDED
        assert "send it faster" in (caught.value.details() or "")


async def test_triton_away_is_said_and_found_again(scripted: ScriptedTriton, tmp_path: Path) -> None:
    async with scripted.listening() as address:
        pass
    async with opened(options(tmp_path, address)) as door:
        code, words = await door.refused("ModelInfer", infer_request())
        assert code is Code.UNAVAILABLE
        assert "does not answer now" in words
        async with scripted.listening(int(address.rpartition(":")[2])):
            async with asyncio.timeout(PATIENCE_S):
                while (await _code(door)) is not Code.OK:
                    pass


async def _code(door: Door) -> grpc.StatusCode:
    call = door.call("ModelInfer", infer_request())
    code: grpc.StatusCode = await call.code()
    return code
