"""How much of a batch is under way: rows that were begun, answers that wait to be written, and which comes next.

Everything happens on one event loop, and only whoever begins rows and whoever writes answers ever wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

MAX_BEGUN: Final = 64
MAX_BEGUN_BYTES: Final = 4 * 2**20
"""Rows that were begun and whose answers were not handed out yet, and their size."""
MAX_UNREAD_BYTES: Final = 8 * 2**20
"""Answers that wait to be written: no row begins beyond."""


class Flow:
    """The rows of one batch.

    Args:
        ordered: Whether answers are handed out in the order in which rows were begun, or as they come.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._begun: dict[int, int] = {}  # the size of each row, by its index
        self._begun_bytes = 0
        self._count = 0
        self._next = 0
        self._early: dict[int, bytes] = {}
        self._ready: list[bytes] = []
        self._ready_bytes = 0
        self._ended = False
        self._may_begin, self._may_write = asyncio.Event(), asyncio.Event()

    async def begin(self, size_bytes: int) -> int:
        """Wait until a row may begin; returns its index. One that is larger than all that may be begins alone."""
        while not self._has_room(size_bytes):
            self._may_begin.clear()
            await self._may_begin.wait()
        index = self._count
        self._count += 1
        self._begun[index] = size_bytes
        self._begun_bytes += size_bytes
        return index

    def finish(self, index: int, answer: bytes) -> None:
        """Hand the answer of a row out, if need be after those before it."""
        if not self._ordered:
            self._hand_out(index, answer)
            return
        self._early[index] = answer
        while self._next in self._early:
            self._hand_out(self._next, self._early.pop(self._next))
            self._next += 1

    def end(self, last: bytes = b"") -> None:
        """Nothing comes after ``last``."""
        if last:
            self._ready.append(last)
        self._ended = True
        self._may_write.set()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield what was handed out, several answers at once where there are several, until the end."""
        while True:
            await self._may_write.wait()
            found, self._ready, self._ready_bytes = self._ready, [], 0
            if not self._ended:
                self._may_write.clear()
            self._may_begin.set()
            if found:
                yield b"".join(found)
            elif self._ended:
                return

    def _has_room(self, size_bytes: int) -> bool:
        if self._ready_bytes >= MAX_UNREAD_BYTES:
            return False
        fits = len(self._begun) < MAX_BEGUN and self._begun_bytes + size_bytes <= MAX_BEGUN_BYTES
        return fits or not self._begun

    def _hand_out(self, index: int, answer: bytes) -> None:
        self._begun_bytes -= self._begun.pop(index)
        self._ready.append(answer)
        self._ready_bytes += len(answer)
        self._may_begin.set()
        self._may_write.set()
