"""The messages of all calls together: read, held until they are answered, and bounded.

gRPC collects a message before anybody here sees a byte of it, and a caller may send all but the last one. So there are
two bounds. Messages that are here are counted. Those that are still coming cannot be, but no more of them can fill the
memory than what is in use of it tells: when that has grown too much, those that have been coming longest are refused,
as many as could hold too much.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc.aio

from serving.gateway.configuration import GatewayLimits
from serving.gateway.memory.heap import used_bytes
from serving.gateway.refusals import Refusal, RefusedError, invalid

ABOVE: Final = 2
"""Messages up to this multiple of the limit are read, so that the refusal can be in words of ours."""
_GROWTH: Final = 2
"""The memory in use may grow by this multiple of the limit: a message is there twice while it is passed on."""
_LOOK_EVERY_S: Final = 0.05
"""How often memory is looked at while many messages are coming."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Coming:
    """A message that is not here yet."""

    scope: asyncio.Timeout
    """Ends the wait for it when it is told that its time is up."""
    unwanted: bool = False
    """Whether it is given up to make room."""


class Messages:
    """Reads messages. It belongs to the event loop in which it is used.

    Args:
        limits: What the door takes.
        used: The memory in use, in bytes.
    """

    def __init__(self, limits: GatewayLimits, *, used: Callable[[], int] = used_bytes) -> None:
        self._limits = limits
        self._used = used
        self._used_at_rest_bytes = used()
        self._held_bytes = 0
        self._coming: dict[_Coming, None] = {}  # in the order in which they began
        # So few that whatever they are they cannot hold too much.
        self._few = max(1, limits.max_held_bytes // (ABOVE * limits.max_body_bytes))
        self._next_look: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def read(self, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        """Yield the message of a call; it counts as held inside the block.

        Raises:
            RefusedError: It does not come, or too slowly; or there is no room for it now.
        """
        message = await self._message(context)
        size_bytes = len(message)
        if self._held_bytes + size_bytes > self._limits.max_held_bytes:
            raise _busy(
                f"it holds {self._held_bytes} bytes of requests, and no more than {self._limits.max_held_bytes}"
            )
        self._held_bytes += size_bytes
        try:
            yield message
        finally:
            self._held_bytes -= size_bytes

    async def _message(self, context: grpc.aio.ServicerContext) -> bytes:
        coming = _Coming(scope=asyncio.timeout(self._limits.max_body_time_s))
        self._coming[coming] = None
        self._look_later()
        try:
            async with coming.scope:
                message = await context.read()
        except TimeoutError:
            if coming.unwanted:
                raise _busy("its memory is full of messages that are not whole yet, as this one was not") from None
            words = f"the message was not there within {self._limits.max_body_time_s:.3g} s: send it faster"
            raise RefusedError(Refusal.TOO_SLOW, words) from None
        finally:
            del self._coming[coming]
        if not isinstance(message, bytes):  # the end of the stream
            raise invalid("the call came without a message, or with one that is too large")
        return message

    def _look_later(self) -> None:
        if self._next_look is None and len(self._coming) > self._few:
            self._next_look = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._next_look = None
        allowed_bytes = self._used_at_rest_bytes + _GROWTH * self._limits.max_held_bytes
        if len(self._coming) > self._few and self._used() > allowed_bytes:
            for coming in tuple(self._coming)[: -self._few]:
                if not coming.unwanted and not coming.scope.expired():
                    coming.unwanted = True
                    coming.scope.reschedule(0.0)
        self._look_later()


def _busy(why: str) -> RefusedError:
    return RefusedError(Refusal.BUSY, f"the server is busy: {why}; try again later", retry_after_s=1.0)
