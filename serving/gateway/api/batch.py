"""Many questions in one request: read as they come, asked side by side, answered as they are done.

Nothing here grows with the length of a batch. As many rows are asked at the same time as keep the models busy; how many
may be begun, and how many answers may be unread, `Flow` says. So a caller who sends everything before reading can do so
with a few thousand articles; one who reads meanwhile, with any number.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from serving.gateway.access.caller import Caller
from serving.gateway.configuration import GatewayLimits
from serving.gateway.http.documents import dump, parse
from serving.gateway.http.problems import problem
from serving.gateway.logs import describe
from serving.gateway.refusals import FieldError, Refusal, RefusedError, invalid_fields

from .analysis import Analysis
from .flow import Flow
from .lines import LineTooLongError
from .requests import MAX_ID_CHARACTERS, read_question

_ASKED: Final = 20
"""Rows that are asked at the same time: a few more than run, so that one is there when another ends."""
_Line = bytes | LineTooLongError


class Batch:
    """One batch.

    Args:
        analysis: What answers a row.
        limits: What a row may be.
        caller: Whose batch it is.
        request_id: The id of the request.
        prefix: The path under which a proxy has put this server.
        log: Where a fault of ours is told.
        ordered: Whether answers come in the order of the rows.
        take: Takes one of the caller's rate, and waits for it until a time on the clock of the event loop.
        on_row: Called with the outcome of each row: ``answered``, or the kind of its refusal.
    """

    def __init__(
        self,
        analysis: Analysis,
        limits: GatewayLimits,
        *,
        caller: Caller,
        request_id: str,
        prefix: str = "",
        log: Any,
        ordered: bool,
        take: Callable[[float], Awaitable[None]],
        on_row: Callable[[str], None],
    ) -> None:
        self._analysis = analysis
        self._limits = limits
        self._caller = caller
        self._request_id = request_id
        self._prefix = prefix
        self._log = log
        self._take = take
        self._on_row = on_row
        self._flow = Flow(ordered=ordered)
        self._asking = asyncio.Semaphore(_ASKED)
        self._reading: asyncio.Task[None] | None = None
        self._last = b""

    async def run(self, lines: AsyncIterator[_Line]) -> AsyncGenerator[bytes, None]:
        """Yield the lines of the answer, several at once where there are several.

        Whoever closes this generator, or cancels it, ends everything that it has begun.
        """
        working = asyncio.create_task(self._work(lines))
        try:
            async for answers in self._flow.read():
                yield answers
            await working
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working

    async def _work(self, lines: AsyncIterator[_Line]) -> None:
        try:
            async with asyncio.TaskGroup() as rows:
                self._reading = rows.create_task(self._read(lines, rows))
                ending = asyncio.create_task(self._end_with_the_server())
                await asyncio.wait((self._reading,))
                ending.cancel()
        finally:
            self._flow.end(self._last)

    async def _read(self, lines: AsyncIterator[_Line], rows: asyncio.TaskGroup) -> None:
        try:
            async for line in lines:
                size_bytes = 0 if isinstance(line, LineTooLongError) else len(line)
                if isinstance(line, bytes) and not line.strip():
                    continue
                index = await self._flow.begin(size_bytes)
                rows.create_task(self._row(index, line))
        except RefusedError as error:
            self._stop(error)

    async def _end_with_the_server(self) -> None:
        await self._analysis.stopping.wait()
        words = "the server stops: send the rows without an answer again once it has started"
        self._stop(RefusedError(Refusal.AWAY, words, retry_after_s=1.0))

    def _stop(self, refused: RefusedError) -> None:
        """Begin no further row, and say why in the last line."""
        if not self._last:
            self._last = _written({"index": None, "error": problem(refused, self._request_id, self._prefix)})
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    async def _row(self, index: int, line: _Line) -> None:
        row_id = f"{self._request_id}.{index}"
        try:
            async with self._asking:
                document = await self._answered(line, row_id)
            self._on_row("answered")
        except RefusedError as error:
            document = self._refused(error, line, row_id)
            if error.kind is Refusal.UNAUTHENTICATED:  # the key has ended meanwhile, and so has all that it began
                self._stop(error)
        except Exception as error:  # a fault of ours, which is this row's alone
            self._log.error("failed", door="http", route="analyze_batch", request_id=row_id, **describe(error))
            words = "the server failed on this row: its log says why"
            document = self._refused(RefusedError(Refusal.FAILED, words), line, row_id)
        self._flow.finish(index, _written({"index": index, **document}))

    async def _answered(self, line: _Line, row_id: str) -> dict[str, Any]:
        if isinstance(line, LineTooLongError):
            raise RefusedError(
                Refusal.TOO_LARGE, f"a line has at most {self._limits.max_body_bytes} bytes: shorten the article"
            )
        question = read_question(parse(line, max_depth=self._limits.max_json_depth))
        if question.audit:
            words = "nobody is asked about a line of a batch: leave audit out, or ask /v1/analyze about this article"
            raise invalid_fields([FieldError(pointer="/audit", words=words)])
        if question.keep:
            words = "a line of a batch is not kept: leave keep out, or ask /v1/analyze about this article alone"
            raise invalid_fields([FieldError(pointer="/keep", words=words)])
        came_s = time.monotonic()
        allowed_s = math.inf if question.deadline_s is None else question.deadline_s
        await self._take(asyncio.get_running_loop().time() + allowed_s)
        return await self._analysis.answer(
            question, row_id, caller=self._caller, route="analyze_batch", patient=True, came_s=came_s
        )

    def _refused(self, refused: RefusedError, line: _Line, row_id: str) -> dict[str, Any]:
        """The row of a refusal, with the caller's id where it can be read."""
        self._on_row(refused.kind.value)
        document: dict[str, Any] = {"error": problem(refused, row_id, self._prefix)}
        with suppress(RefusedError):
            given = {} if isinstance(line, LineTooLongError) else parse(line, max_depth=self._limits.max_json_depth)
            if isinstance(given.get("id"), str):
                document = {"id": given["id"][:MAX_ID_CHARACTERS], **document}
        return document


def _written(document: dict[str, Any]) -> bytes:
    return dump(document) + b"\n"
