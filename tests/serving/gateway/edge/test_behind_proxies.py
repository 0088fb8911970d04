"""Behind a real nginx and a real HAProxy, under a path of theirs, as the page for people configures them."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import grpc
import grpc.aio
import pytest
import trustme

from infolens import AsyncClient, ServerOverloadedError
from serving.edge.options import EdgeOptions
from serving.gateway.configuration import GatewayLimits
from tests.serving.edge.authority import Files, write
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.edge.proxied import PROXIES, before
from tests.serving.gateway.scripted import (
    ADMIN,
    KEY,
    PATIENCE_S,
    Door,
    ScriptedTriton,
    infer_request,
    opened,
    options,
    until,
)

pytestmark = pytest.mark.system

TEXT = "The old bridge over the harbour will close for repairs in June, the city said on Monday."
INFER = "/inference.GRPCInferenceService/ModelInfer"
MAX_RUNNING = 12


@dataclass(kw_only=True)
class Proxied:
    """A door, and the proxy before it."""

    door: Door
    port: int
    files: Files
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/lens"

    def channel(self) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(self.files.root.read_bytes())
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=(("grpc.enable_http_proxy", 0),))

    @asynccontextmanager
    async def sent(self, path: str, body: str) -> AsyncIterator[None]:
        """A request that is sent, and whose caller goes at the end of the block without a word, as a program that ends.

        (aiohttp says goodbye in TLS and waits for an answer before it closes the connection, and nginx reads none.)
        """
        context = ssl.create_default_context(cafile=str(self.files.root))
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        head = f"POST /lens{path} HTTP/1.1\r\nHost: news.example\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        try:
            yield
        finally:
            writer.transport.abort()

    async def analyze(self, **more: Any) -> tuple[int, Any, Any]:
        async with self.session.post(f"{self.url}/v1/analyze", json={"text": TEXT, **more}) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers


@pytest.fixture(params=PROXIES)
async def proxied(
    request: pytest.FixtureRequest, tmp_path: Path, scripted: ScriptedTriton, authority: trustme.CA
) -> AsyncIterator[Proxied]:
    fake = make_fake()
    scripted.answer = lambda message, _: fake.infer(message)
    files = write(tmp_path, authority)
    settings = {
        "edge": EdgeOptions(forwarded_allow=("127.0.0.0/8",)),
        "limits": GatewayLimits(max_waiting=1),
    }
    context = ssl.create_default_context(cafile=str(files.root))
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, **settings)) as door,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        with _running(request.param, tmp_path, files, door) as port:
            yield Proxied(door=door, port=port, files=files, session=session)


def _running(kind: str, folder: Path, files: Files, door: Door) -> Any:
    return before(kind, folder, files, door.ports)


async def test_the_page_s_links_lead_somewhere(proxied: Proxied) -> None:
    page_url = f"{proxied.url}/"
    async with proxied.session.get(page_url) as answer:
        assert answer.status == 200
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Strict-Transport-Security"]
        page = await answer.text()
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(links) >= 4
    for link in links:
        async with proxied.session.get(urljoin(page_url, link)) as answer:
            assert answer.status == 200, link
    async with proxied.session.get(f"{proxied.url}/v1/models") as answer:
        models = (await answer.json())["models"]
    for one in models:
        async with proxied.session.get(urljoin(f"{proxied.url}/v1/models", one["card"])) as answer:
            assert answer.status == 200, one["card"]


async def test_what_openapi_and_problems_name_is_there(proxied: Proxied) -> None:
    where = f"{proxied.url}/openapi.json"
    async with proxied.session.get(where) as answer:
        document = await answer.json()
    server = urljoin(where, document["servers"][0]["url"])
    assert server == proxied.url
    async with proxied.session.get(f"{server}/v1/models") as answer:
        assert answer.status == 200
    status, problem, _ = await proxied.analyze(nobody_knows_this=1)
    assert status == 400
    async with proxied.session.get(urljoin(f"{proxied.url}/v1/analyze", problem["type"])) as answer:
        assert (await answer.json())["title"] == problem["title"]


async def test_an_article_is_answered_and_the_caller_s_own_address_is_in_the_log(proxied: Proxied) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Prefix": "/evil"}
    async with proxied.session.post(f"{proxied.url}/v1/analyze", json={"text": TEXT}, headers=forged) as answer:
        assert (await answer.json())["summary"]["text"] == "A summary."
        assert answer.headers["X-Request-Id"]
    async with proxied.channel() as channel:
        await channel.unary_unary(INFER)(infer_request().SerializeToString(), timeout=PATIENCE_S)
    lines = [line for line in proxied.door.lines() if line["event"] == "answered"]
    # All of 127.0.0.0/8 are proxies here: were the forged address passed on, it would stand there.
    assert [(line["door"], line["address"]) for line in lines] == [("http", "127.0.0.1"), ("grpc", "127.0.0.1")]


async def test_a_batch_comes_line_by_line(proxied: Proxied) -> None:
    answered: asyncio.Queue[None] = asyncio.Queue()

    async def lines() -> AsyncIterator[bytes]:
        for number in range(5):
            yield json.dumps({"text": TEXT, "id": str(number)}).encode() + b"\n"
            await asyncio.wait_for(answered.get(), PATIENCE_S)  # the next line only after this one's answer

    async with proxied.session.post(f"{proxied.url}/v1/analyze/batch", data=lines()) as answer:
        assert answer.status == 200
        seen = []
        async for line in answer.content:
            seen.append(json.loads(line)["id"])
            answered.put_nowait(None)
    assert seen == ["0", "1", "2", "3", "4"]


async def test_grpc_goes_through_and_the_admin_key_does_not(proxied: Proxied) -> None:
    async with AsyncClient(f"grpcs://127.0.0.1:{proxied.port}", root_certificates=proxied.files.root) as client:
        assert (await client.analyze(TEXT)).summary is not None
    async with proxied.channel() as channel:
        assert await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=PATIENCE_S) == b"\x08\x01"
        index = channel.unary_unary("/inference.GRPCInferenceService/RepositoryIndex")
        with pytest.raises(grpc.aio.AioRpcError, match="restricted"):
            await index(b"", timeout=PATIENCE_S, metadata=((ADMIN, KEY),))


async def test_the_sdk_asks_under_the_path(proxied: Proxied) -> None:
    async with AsyncClient(proxied.url, root_certificates=proxied.files.root) as client:
        assert (await client.analyze(TEXT)).summary is not None


@pytest.fixture
def full(proxied: Proxied, scripted: ScriptedTriton) -> Iterator[None]:
    scripted.answer = scripted.held
    yield
    scripted.let_go.set()


@pytest.mark.usefixtures("full")
async def test_a_full_server_says_so_through_the_proxy(proxied: Proxied, scripted: ScriptedTriton) -> None:
    room = proxied.door.parts.room
    held = [asyncio.create_task(proxied.analyze()) for _ in range(MAX_RUNNING + 1)]
    await until(lambda: (room.running, room.waiting) == (MAX_RUNNING, 1))
    status, problem, headers = await proxied.analyze()
    assert (status, problem["type"]) == (429, "/lens/v1/problems/busy")
    assert int(headers["Retry-After"]) >= 1
    async with AsyncClient(f"grpcs://127.0.0.1:{proxied.port}", root_certificates=proxied.files.root) as client:
        with pytest.raises(ServerOverloadedError):
            await client.analyze(TEXT, timeout_s=2)
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


def in_flight(proxied: Proxied, door: str) -> float | None:
    """The inferences that have a caller."""
    return proxied.door.parts.metrics.registry.get_sample_value("infolens_requests_in_flight", {"door": door})


@pytest.mark.usefixtures("full")
async def test_a_caller_who_leaves_the_proxy_has_left_the_server(proxied: Proxied, scripted: ScriptedTriton) -> None:
    async with proxied.sent("/v1/analyze", json.dumps({"text": TEXT})):
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
        assert in_flight(proxied, "http") == 1
    await until(lambda: in_flight(proxied, "http") == 0)
    async with proxied.channel() as channel:
        call = channel.unary_unary(INFER)(infer_request().SerializeToString(), timeout=PATIENCE_S)
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
        assert in_flight(proxied, "grpc") == 1
        call.cancel()
        await until(lambda: in_flight(proxied, "grpc") == 0)


@pytest.mark.usefixtures("full")
async def test_so_has_one_who_leaves_in_the_middle_of_a_batch(proxied: Proxied, scripted: ScriptedTriton) -> None:
    async with proxied.sent("/v1/analyze/batch", "\n".join([json.dumps({"text": TEXT})] * 100)):
        for _ in range(MAX_RUNNING):
            await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
        assert in_flight(proxied, "http") == 1
    await until(lambda: in_flight(proxied, "http") == 0)
    assert proxied.door.parts.room.waiting == 0
