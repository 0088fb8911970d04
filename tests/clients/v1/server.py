"""A small server on loopback that speaks `/v1` as the front door does: real HTTP, answers from a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from infolens import InfoLensError, Report, Task
from infolens.problems import CONTENT_TYPE, to_problem
from infolens.testing import fake_report

Row = dict[str, Any]
Answer = Report | InfoLensError


def by_text(row: Row) -> Answer:
    """The text is its own summary."""
    return fake_report(summary=row["text"])


@dataclass
class Script:
    """How a server behaves, and what it has seen."""

    answer: Callable[[Row], Answer | Awaitable[Answer]] = by_text
    key: str | None = None
    """What callers must send, where that is asked."""
    refusals: list[InfoLensError] = field(default_factory=list)
    """How the first batches are refused before a row of them is read."""
    drops: list[int] = field(default_factory=list)
    """After how many answers each of the first batches is cut off."""
    faults: list[InfoLensError] = field(default_factory=list)
    """What the last line of those says; where there is none, the connection breaks without a word."""
    whole_body: bool = False
    """Whether a batch is kept until it has all come, as some proxies do."""
    documents: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Answers to GET, by path."""
    garbage: bytes = b""
    """What is sent instead of an answer to a row."""

    rows: list[Row] = field(default_factory=list)
    batches: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    most_unanswered: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a caller has left in the middle of a batch."""

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/analyze/batch``."""
        self.batches += 1
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        assert request.content_type == "application/x-ndjson"
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _problem({"type": "/v1/problems/unauthenticated", "status": 401, "detail": "this key is unknown"})
        if self.refusals:
            return _problem(to_problem(self.refusals.pop(0), instance="r-1"))
        try:
            return await self._stream(request, self.drops.pop(0) if self.drops else None)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    async def _stream(self, request: web.Request, drop_after: int | None) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        lock, tasks, counts = asyncio.Lock(), set[asyncio.Task[None]](), {"open": 0, "answered": 0}
        cut = asyncio.Event()

        async def write(document: dict[str, Any] | bytes) -> None:
            async with lock:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(document if isinstance(document, bytes) else json.dumps(document).encode() + b"\n")

        async def one(index: int, row: Row) -> None:
            answer = self.answer(row)
            answer = await answer if isinstance(answer, Awaitable) else answer
            counts["open"] -= 1
            if drop_after is not None and counts["answered"] >= drop_after:
                cut.set()
                return
            counts["answered"] += 1
            await write(self.garbage or {"index": index, "id": row.get("id"), **_document(answer, row)})

        async def read() -> None:
            index = 0
            async for row in _rows(request, whole=self.whole_body):
                self.rows.append(row)
                counts["open"] += 1
                self.most_unanswered = max(self.most_unanswered, counts["open"])
                tasks.add(asyncio.create_task(one(index, row)))
                index += 1
                if drop_after == 0:
                    cut.set()
            await asyncio.gather(*tasks)

        reading, cutting = asyncio.create_task(read()), asyncio.create_task(cut.wait())
        try:
            await asyncio.wait({reading, cutting}, return_when=asyncio.FIRST_COMPLETED)
            if cut.is_set() and self.faults:
                await write({"index": None, "error": to_problem(self.faults.pop(0))})
                response.force_close()
            elif cut.is_set():
                assert request.transport is not None
                request.transport.close()
                return response
            else:
                await reading
            await response.write_eof()
        finally:
            for task in (reading, cutting, *tasks):
                task.cancel()
            await asyncio.gather(reading, cutting, *tasks, return_exceptions=True)
        return response

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Every GET."""
        status, document = self.documents.get(request.path, (404, {"error": "Not Found: no such path"}))
        return web.json_response(document, status=status)


def _document(answer: Answer, row: Row) -> dict[str, Any]:
    if isinstance(answer, InfoLensError):
        return {"error": to_problem(answer)}
    asked = {Task(task) for task in row["tasks"]}
    answers = {task: one for task, one in answer.answers.items() if task in asked}
    return {**Report.of(answers, answer.failed).to_dict(), "prediction": answer.prediction}


def _problem(document: dict[str, Any]) -> web.Response:
    wait_ms = document.pop("retry_after_ms", None)
    headers = {} if wait_ms is None else {"Retry-After": str(math.ceil(wait_ms / 1000))}
    return web.json_response(document, status=document["status"], content_type=CONTENT_TYPE, headers=headers)


async def _rows(request: web.Request, *, whole: bool) -> AsyncIterator[Row]:
    rest = await request.read() if whole else b""
    async for data in request.content.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)
    for line in rest.split(b"\n"):
        if line:
            yield json.loads(line)


@contextlib.contextmanager
def v1_server(
    script: Script,
    *,
    tls: ssl.SSLContext | None = None,
    old: bool = False,
    routes: Iterable[web.AbstractRouteDef] = (),
) -> Iterator[str]:
    """Serve until the block ends, further routes too; ``old`` servers have no batches."""
    loop = asyncio.new_event_loop()

    async def start() -> tuple[web.AppRunner, int]:
        application = web.Application(client_max_size=2**30)
        if not old:
            application.router.add_post("/v1/analyze/batch", script.batch)
        application.router.add_routes(routes)
        application.router.add_get("/{path:.*}", script.get)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        return runner, runner.addresses[0][1]

    thread = threading.Thread(target=loop.run_forever, name="v1-server")
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
