"""gRPC over several doors under one name: who is asked, and what a changed DNS and the age of a connection do."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype, serialize_byte_tensor

from infolens import Article, AsyncClient, Client, RetryPolicy
from infolens.testing import FakeTransport
from infolens.wire import default_tasks, pack
from tests.serving.gateway.scripted import Process, ScriptedTriton, process
from tests.serving.pod.names import NAME, names

TEXT = "The striker scored twice in the final."
HOSTS = ("127.0.0.1", "127.0.0.2")
AGE_S = 1.0
DEADLINE_S = 90.0


def answer() -> bytes:
    """What ``info_lens`` says to every article."""
    message = service_pb2.ModelInferResponse(model_name="info_lens", model_version="1")
    arrays = FakeTransport().infer(pack(Article(text=TEXT), default_tasks()), timeout_s=1.0)
    for name, array in arrays.items():
        message.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        content = serialize_byte_tensor(array).item() if array.dtype == object else array.tobytes()
        message.raw_output_contents.append(content)
    packed: bytes = message.SerializeToString()
    return packed


def shared_port() -> int:
    """A port that is free on all of `HOSTS`, of those that no program gets by chance while the doors are started."""
    while True:
        port = random.randrange(21_000, 31_000)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind((HOSTS[0], port))
                other.bind((HOSTS[1], port))
            except OSError:
                continue
            return port


def count(door: Process) -> int:
    """How many inferences it has answered."""
    lines = [json.loads(line) for line in door.log_file.read_text().splitlines() if line.startswith("{")]
    return sum(one.get("route") == "infer" for one in lines)


@asynccontextmanager
async def two_doors(scripted: ScriptedTriton, folder: Path, age_s: float = AGE_S) -> AsyncIterator[list[Process]]:
    """Two real doors on one port of two addresses, before one Triton that answers after a moment."""
    content = answer()

    async def at_leisure(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(0.02)  # so that something is in flight whenever a connection is closed
        return content

    scripted.answer = at_leisure
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(scripted.listening())
        port, doors = shared_port(), []
        for host in HOSTS:
            own = folder / host
            own.mkdir()
            more: dict[str, Any] = {"host": host, "grpc_port": port, "max_connection_age_s": age_s}
            doors.append(stack.enter_context(process(own, address, **more)))
        yield doors


@pytest.fixture
def scripted() -> ScriptedTriton:
    return ScriptedTriton()


@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
async def test_each_of_the_addresses_is_asked_and_one_that_is_taken_away_no_more(
    scripted: ScriptedTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    loop = asyncio.get_running_loop()
    async with two_doors(scripted, tmp_path) as (a, b):
        with names(HOSTS[:1], monkeypatch) as dns:
            url = f"grpc://{NAME}:{a.ports['grpc_port']}"
            async with AsyncClient(url) as asynchronous:
                with Client(url) as blocking:

                    async def ask(times: int = 10) -> tuple[int, int]:
                        """How many of so many requests each door has answered."""
                        before = count(a), count(b)
                        if kind == "asyncio":
                            await asyncio.gather(*(asynchronous.analyze(TEXT) for _ in range(times)))
                        else:
                            await asyncio.gather(*(asyncio.to_thread(blocking.analyze, TEXT) for _ in range(times)))
                        # A door notes an answer once it has sent it.
                        while count(a) + count(b) < sum(before) + times:  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
                        return count(a) - before[0], count(b) - before[1]

                    async with asyncio.timeout(DEADLINE_S):
                        assert await ask() == (10, 0)
                        dns.addresses = HOSTS
                        while (await ask())[1] == 0:
                            pass
                        # A connection that is just made anew leaves a round to the other.
                        while min(await ask(60)) < 10:
                            pass
                        dns.addresses = HOSTS[1:]
                        asked = loop.time()
                        while loop.time() < asked + 3 * AGE_S:  # so long that it would have come again
                            if (await ask())[0] > 0:
                                asked = loop.time()


async def test_a_connection_that_is_closed_for_its_age_costs_no_request(
    scripted: ScriptedTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a single retry of the SDK: gRPC itself sends anew what the server has not seen."""
    async with two_doors(scripted, tmp_path, age_s=0.3) as doors:
        with names(HOSTS, monkeypatch):
            url = f"grpc://{NAME}:{doors[0].ports['grpc_port']}"
            async with AsyncClient(url, retries=RetryPolicy(attempts=1)) as client:
                for _ in range(60):
                    await asyncio.gather(*(client.analyze(TEXT) for _ in range(10)))
        async with asyncio.timeout(DEADLINE_S):
            while sum(count(door) for door in doors) < 600:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert sum(count(door) for door in doors) == 600
        assert min(count(door) for door in doors) >= 100
