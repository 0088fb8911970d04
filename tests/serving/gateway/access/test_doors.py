"""What a key opens and what none does, over real HTTP and gRPC, before a Triton that is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import grpc
import grpc.aio
import pytest

from serving.gateway.access.rules import MANAGING, OPEN, RULES, SEEING
from serving.gateway.grpc_door.methods import ADMIN_METHODS, CLOSED_METHODS, HEALTH, route_of
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import INFER, STRANGE, Code, Keyed, bearer, has
from tests.serving.gateway.scripted import ADMIN, KEY, PATIENCE_S, SERVICE, ScriptedTriton, infer_request, until


async def test_without_a_valid_key_nothing_is_answered(keyed: Keyed, scripted: ScriptedTriton) -> None:
    for headers, words in (
        ({}, "this server wants a key: send it as the header 'Authorization: Bearer KEY'"),
        ({"Authorization": "Basic dTpw"}, "wants a key"),
        ({"Authorization": "Bearer "}, "what came is no key"),
        ({"X-API-Key": "il_short"}, "what came is no key"),
        (has(STRANGE), "the key is not known here"),
        (has(keyed.keys["newsroom"] + "x"), "what came is no key"),
        (has(keyed.keys["newsroom"]) | {"X-API-Key": STRANGE}, "a request has one key, not 2"),
    ):
        status, document, answered = await keyed.http(INFER, headers)
        assert status == 401
        assert words in document["error"]
        assert answered["WWW-Authenticate"] == "Bearer"
        code, words_there = await keyed.door.refused(
            "ModelInfer", infer_request(), metadata=[(name.lower(), value) for name, value in headers.items()]
        )
        assert (code, words_there) == (Code.UNAUTHENTICATED, document["error"])
    assert scripted.arrived.empty()


async def test_a_key_opens_both_doors_in_either_header(keyed: Keyed) -> None:
    key = keyed.keys["newsroom"]
    for headers in (has(key), {"X-API-Key": key}, {"Authorization": f"bearer {key}", "X-API-Key": key}):
        assert (await keyed.http(INFER, headers))[0] == 200
    assert await keyed.grpc("ModelInfer", key) is Code.OK
    assert await keyed.grpc("ModelInfer", metadata=(("x-api-key", key),)) is Code.OK


async def test_what_is_open_needs_no_key_and_minds_no_wrong_one(keyed: Keyed) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/classify/ready"):
        assert (await keyed.http(path))[0] == 200
        assert (await keyed.http(path, has(STRANGE)))[0] == 200
    for method in ("ServerLive", "ServerReady", "ModelReady"):
        assert await keyed.grpc(method) is Code.OK
    assert await keyed.grpc("Check", service=HEALTH) is Code.OK
    assert (await keyed.http("/nothing"))[0] == 404


async def test_each_role_opens_its_own(keyed: Keyed) -> None:
    keys = {role: await keyed.make(f"the-{role}", role) for role in Role}
    for path in ("/v2", "/v2/models/classify/stats", INFER):
        seeing = {role.value for role, key in keys.items() if (await keyed.http(path, has(key)))[0] == 200}
        assert seeing == {"read", "fetch", "admin"}
    status, document, _ = await keyed.http(INFER, has(keys[Role.FEEDBACK]))
    assert status == 403
    assert "'the-feedback' has the role 'feedback', and this needs 'read' or 'fetch' or 'admin'" in document["error"]
    methods = [*ADMIN_METHODS, *CLOSED_METHODS, "ServerMetadata", "ModelMetadata", "ModelConfig", "ModelStatistics"]
    for method in [*methods, "ModelInfer", "ServerLive", "ServerReady", "ModelReady"]:
        rule = RULES[route_of(method)]
        codes = {role: await keyed.grpc(method, key) for role, key in keys.items()}
        nobody = await keyed.grpc(method)
        assert nobody is (Code.OK if rule == OPEN else Code.UNAUTHENTICATED), method
        if rule == MANAGING:
            assert codes[Role.READ] is codes[Role.FETCH] is codes[Role.FEEDBACK] is Code.PERMISSION_DENIED, method
            assert codes[Role.ADMIN] is (Code.PERMISSION_DENIED if method in CLOSED_METHODS else Code.OK), method
        elif rule == SEEING or method == "ModelInfer":
            assert codes == dict.fromkeys(Role, Code.OK) | {Role.FEEDBACK: Code.PERMISSION_DENIED}, method


async def test_the_admin_key_of_before_opens_as_before(keyed: Keyed, scripted: ScriptedTriton) -> None:
    header = ((ADMIN, KEY),)
    assert await keyed.grpc("RepositoryIndex", metadata=header) is Code.OK
    assert await keyed.grpc("RepositoryIndex", keyed.keys["newsroom"], metadata=header) is Code.OK
    assert await keyed.grpc("RepositoryIndex", metadata=((ADMIN, "guessed"),)) is Code.UNAUTHENTICATED
    assert await keyed.grpc("ModelInfer", metadata=header) is Code.UNAUTHENTICATED, "it is no key for anything else"
    admin = await keyed.make("boss", Role.ADMIN)
    asked = len(scripted.asked)
    assert await keyed.grpc("RepositoryModelLoad", admin) is Code.OK
    assert [method for method, _, _ in scripted.asked[asked:]] == ["RepositoryModelLoad"]


async def test_a_refused_request_is_never_read(keyed: Keyed) -> None:
    call = keyed.door.channel.stream_unary(f"/{SERVICE}/ModelInfer")(timeout=PATIENCE_S)
    assert await call.code() is Code.UNAUTHENTICATED

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    status, _, _ = await keyed.http(INFER, data=endless(), timeout=aiohttp.ClientTimeout(total=PATIENCE_S))
    assert status == 401


async def test_a_key_has_one_rate_at_both_doors(keyed: Keyed) -> None:
    key = await keyed.make("slow", rate_per_minute=4)
    for _ in range(2):
        assert (await keyed.http(INFER, has(key)))[0] == 200
        assert await keyed.grpc("ModelInfer", key) is Code.OK
        assert (await keyed.http("/v2/models/classify/stats", has(key)))[0] == 200
    status, document, headers = await keyed.http(INFER, has(key))
    assert status == 429
    assert "the key 'slow' may ask 4 times a minute, and has: ask again in" in document["error"]
    assert "server is busy" not in document["error"]
    assert 1 <= int(headers["Retry-After"]) <= 60
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await keyed.door.call("ModelInfer", infer_request(), metadata=bearer(key))
    assert told.value.code() is Code.RESOURCE_EXHAUSTED
    assert 1 <= int(dict(told.value.trailing_metadata())["retry-after"]) <= 60
    assert (await keyed.http("/v2", has(key)))[0] == 200, "only inferences count"
    assert (await keyed.http(INFER, has(keyed.keys["newsroom"])))[0] == 200, "and only those of this key"


async def test_a_key_has_so_many_requests_at_once(keyed: Keyed, scripted: ScriptedTriton) -> None:
    scripted.answer = scripted.held
    key = keyed.keys["newsroom"]
    running = asyncio.ensure_future(keyed.http(INFER, has(key)))
    call = keyed.door.call("ModelInfer", infer_request(), metadata=bearer(key))
    for _ in range(2):
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    status, document, headers = await keyed.http(INFER, has(key))
    assert (status, headers["Retry-After"]) == (429, "1")
    assert "may have 2 requests under way, and has so many" in document["error"]
    assert await keyed.grpc("ModelInfer", key) is Code.RESOURCE_EXHAUSTED
    assert (await keyed.http("/v2", has(key)))[0] == 200
    call.cancel()  # whoever leaves gives the place free
    await until(lambda: keyed.door.parts.room.kept == 1)
    other = asyncio.ensure_future(keyed.http(INFER, has(key)))
    await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
    scripted.let_go.set()
    assert (await other)[0] == (await running)[0] == 200
    await until(lambda: not keyed.door.parts.doorkeeper._places._taken)
