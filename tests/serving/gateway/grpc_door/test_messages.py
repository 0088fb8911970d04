"""The messages of all calls have a bound together: those that are here, and those that do not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.gateway.configuration import GatewayLimits
from serving.gateway.grpc_door.messages import Messages
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.scripted import PATIENCE_S, ScriptedTriton, infer_request, opened, options, until

LIMITS = GatewayLimits(max_body_bytes=10, max_held_bytes=40)
"""Two messages of twice the limit cannot hold too much."""
FULL = 1000


class Caller:
    """A call whose message comes when it is told."""

    def __init__(self, message: bytes | None = None) -> None:
        self._comes = asyncio.get_running_loop().create_future()
        if message is not None:
            self._comes.set_result(message)

    async def read(self) -> bytes:
        message: bytes = await self._comes
        return message


class Memory:
    """What is in use of it, and how often that was asked."""

    def __init__(self) -> None:
        self.used = self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        return self.used


async def read(messages: Messages, caller: Caller) -> bytes:
    async with messages.read(caller) as message:
        return message


def refusal(task: asyncio.Task[Any]) -> RefusedError:
    error = task.exception()
    assert isinstance(error, RefusedError)
    return error


async def test_what_is_held_has_a_bound_and_is_given_back() -> None:
    messages = Messages(LIMITS)
    async with messages.read(Caller(bytes(30))):
        with pytest.raises(RefusedError, match=r"server is busy: it holds 30 bytes .* no more than 40") as caught:
            await read(messages, Caller(bytes(11)))
        assert caught.value.kind is Refusal.BUSY
        assert await read(messages, Caller(bytes(10))) == bytes(10)
    assert await read(messages, Caller(bytes(40))) == bytes(40)


async def test_when_memory_is_full_the_messages_that_come_longest_are_given_up() -> None:
    memory = Memory()
    messages = Messages(LIMITS, used=memory)
    tasks = [asyncio.create_task(read(messages, Caller())) for _ in range(5)]
    await until(lambda: memory.asked > 3)
    assert not [task for task in tasks if task.done()], "there is memory enough"
    memory.used = FULL
    await asyncio.wait(tasks[:3], timeout=PATIENCE_S)
    assert [task.done() for task in tasks] == [True, True, True, False, False]
    assert {refusal(task).kind for task in tasks[:3]} == {Refusal.BUSY}
    assert "server is busy" in refusal(tasks[0]).words
    assert await read(messages, Caller(b"whole")) == b"whole"
    for task in tasks[3:]:
        task.cancel()
    await asyncio.wait(tasks)


async def test_few_messages_are_left_alone_whatever_else_fills_memory() -> None:
    memory = Memory()
    messages = Messages(LIMITS, used=memory)
    memory.used, asked = FULL, memory.asked
    callers = [Caller(), Caller()]
    tasks = [asyncio.create_task(read(messages, caller)) for caller in callers]
    await until(lambda: all(caller._comes._callbacks for caller in callers))
    for caller in callers:
        caller._comes.set_result(b"whole")
    assert await asyncio.gather(*tasks) == [b"whole", b"whole"]
    assert memory.asked == asked


@pytest.mark.parametrize("leave", [lambda call: call.cancel(), None])
async def test_a_call_too_many_is_told_that_the_server_is_busy(
    scripted: ScriptedTriton, tmp_path: Path, leave: Callable[[Any], None] | None
) -> None:
    scripted.answer = scripted.held
    limits = GatewayLimits(max_held_bytes=50_000)
    large = infer_request(text="x" * 30_000)
    async with scripted.listening() as address, opened(options(tmp_path, address, limits=limits)) as door:
        first = door.call("ModelInfer", large)
        await asyncio.wait_for(scripted.arrived.get(), PATIENCE_S)
        code, words = await door.refused("ModelInfer", large)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "the server is busy: it holds 30" in words
        if leave is None:
            scripted.let_go.set()
            await first
        else:
            leave(first)
            await until(lambda: door.parts.room.kept == 1)
            scripted.let_go.set()
        assert await door.call("ModelInfer", large)
