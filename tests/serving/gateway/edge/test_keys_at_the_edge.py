"""Keys behind proxies, from web pages, and beside TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import trustme

from serving.edge.options import EdgeOptions
from serving.keys.records import Role
from serving.triton_grpc import TritonClient
from tests.serving.edge.authority import write
from tests.serving.gateway.access.keyed import STRANGE, Code, Keyed, has, made
from tests.serving.gateway.scripted import PATIENCE_S, ScriptedTriton, opened, options

INFER = "/v2/models/classify/infer"
DESK = "https://desk.example"


async def test_wrong_keys_slow_the_caller_behind_a_proxy_and_nobody_beside_it(
    tmp_path: Path, scripted: ScriptedTriton
) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ)
    edge = EdgeOptions(forwarded_allow=("127.0.0.1",))
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, keys=True, keys_url=url, edge=edge)) as door,
    ):
        keyed = Keyed(door=door, store=store, keys={"newsroom": key})
        guesser, other = ({"X-Forwarded-For": f"198.51.100.{number}"} for number in (1, 2))
        codes = [(await keyed.http(INFER, {**has("no key"), **guesser}))[0] for _ in range(21)]
        assert codes == [401] * 20 + [429]
        # Over gRPC it is the same caller.
        metadata = (("x-forwarded-for", guesser["X-Forwarded-For"]),)
        assert await keyed.grpc("ModelInfer", STRANGE, metadata=metadata) is Code.RESOURCE_EXHAUSTED
        assert (await keyed.http(INFER, {**has(STRANGE), **other}))[0] == 401
        assert (await keyed.http(INFER, {**has(key), **guesser}))[0] == 200
        assert {line["address"] for line in door.lines()} == {"198.51.100.1", "198.51.100.2"}


async def test_a_page_may_ask_whether_it_may_without_a_key_and_then_needs_one(
    tmp_path: Path, scripted: ScriptedTriton
) -> None:
    store, url = made(tmp_path)
    store.create("newsroom", Role.READ)
    edge = EdgeOptions(cors_origins=(DESK,))
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, keys=True, keys_url=url, edge=edge)) as door,
        aiohttp.ClientSession(f"http://127.0.0.1:{door.ports['http_port']}") as session,
    ):
        asks = {"Origin": DESK, "Access-Control-Request-Method": "POST"}
        async with session.options("/v1/analyze", headers=asks) as answer:
            assert answer.status == 204
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        async with session.post("/v1/analyze", json={"text": "x"}, headers={"Origin": DESK}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, DESK)


async def test_the_supervisor_s_port_beside_tls_wants_keys_too(
    tmp_path: Path, scripted: ScriptedTriton, authority: trustme.CA
) -> None:
    store, url = made(tmp_path)
    store.create("newsroom", Role.READ)
    edge = EdgeOptions(**write(tmp_path, authority).options)
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, keys=True, keys_url=url, edge=edge)) as door,
    ):
        client = TritonClient(f"127.0.0.1:{door.ports['plain_grpc_port']}", ("", ""))
        try:
            assert (await asyncio.to_thread(client.live(PATIENCE_S).result)).live
            assert await asyncio.to_thread(client.statistics(PATIENCE_S).code) is Code.UNAUTHENTICATED
        finally:
            client.close()
