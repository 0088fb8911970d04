"""A batch for programs that do not use asyncio: its network runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from infolens.types import BatchResult

from .in_order import Item

Run = Callable[[AsyncIterator[Item]], AsyncGenerator[BatchResult, None]]


@dataclass(frozen=True)
class _Begun:
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None]


@dataclass(frozen=True)
class _Wanted:
    """The thread wants the next article."""

    answer: asyncio.Future[Any]


@dataclass(frozen=True)
class _Ended:
    failure: BaseException | None


_NO_MORE = object()


def in_thread(run: Run, articles: Iterable[Item]) -> Generator[BatchResult, None, None]:
    """The results of ``run`` for some articles.

    The articles are taken in the caller's thread, one whenever the batch has room for it: a cursor of a database, for
    one, may be used in its own thread only.
    """
    source = iter(articles)
    told: queue.SimpleQueue[_Begun | _Wanted | _Ended | BatchResult] = queue.SimpleQueue()
    thread = threading.Thread(target=_work, args=(run, told), name="infolens-batch", daemon=True)
    thread.start()
    begun = told.get()
    assert isinstance(begun, _Begun)  # noqa: S101 - it is what the thread says first
    try:
        while True:
            message = told.get()
            if isinstance(message, BatchResult):
                yield message
            elif isinstance(message, _Wanted):
                _give(begun.loop, message.answer, source)
            elif isinstance(message, _Ended):
                if message.failure is not None:
                    raise message.failure
                return
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            begun.loop.call_soon_threadsafe(begun.task.cancel)
        thread.join()


def _give(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], source: Any) -> None:
    try:
        found, failure = next(source, _NO_MORE), None
    except Exception as error:  # noqa: BLE001, RUF100 - the caller's own iterable failed; the batch raises it at its end
        found, failure = None, error

    def put() -> None:
        if answer.done():  # the batch has ended meanwhile
            return
        if failure is None:
            answer.set_result(found)
        else:
            answer.set_exception(failure)

    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(put)


def _work(run: Run, told: queue.SimpleQueue[Any]) -> None:
    async def articles() -> AsyncIterator[Item]:
        loop = asyncio.get_running_loop()
        while True:
            answer = loop.create_future()
            told.put(_Wanted(answer))
            item = await answer
            if item is _NO_MORE:
                return
            yield item

    async def everything() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        told.put(_Begun(asyncio.get_running_loop(), task))
        async with contextlib.aclosing(run(articles())) as results:
            async for result in results:
                told.put(result)

    failure: BaseException | None = None
    try:
        asyncio.run(everything())
    except BaseException as error:  # noqa: BLE001, RUF100 - it is raised where the results are taken
        failure = error
    told.put(_Ended(failure))
