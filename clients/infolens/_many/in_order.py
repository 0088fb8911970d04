"""Calls over threads whose results come in order, and results under the number and id of their article."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from infolens.errors import InfoLensError
from infolens.types import Article, BatchResult, Report

Item = Article | str | InfoLensError
Result = Report | InfoLensError
In = TypeVar("In")
Out = TypeVar("Out")


def map_in_order(function: Callable[[In], Out], items: Iterable[In], in_flight: int) -> Generator[Out, None, None]:
    """``map`` over threads, in order, that takes at most ``2 * in_flight`` items ahead.

    Twice, so that a slow item at the head of the line leaves no thread idle.
    """
    pending: deque[Future[Out]] = deque()
    source = iter(items)
    exhausted = False
    failure: Exception | None = None
    executor = ThreadPoolExecutor(max_workers=in_flight, thread_name_prefix="infolens")
    try:
        while True:
            while not exhausted and len(pending) < 2 * in_flight:
                try:
                    pending.append(executor.submit(copy_context().run, function, next(source)))
                except StopIteration:
                    exhausted = True
                except Exception as error:  # noqa: BLE001, RUF100 - the caller's own iterable failed: see below
                    exhausted, failure = True, error
            if not pending:
                break
            yield pending.popleft().result()
        if failure is not None:
            # What came before the failure has been answered; none of it is lost.
            raise failure
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


async def as_async(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """The items, whichever kind of iterable holds them."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def id_of(item: Item) -> str | None:
    """The caller's own id of an article, where it has one."""
    return item.id if isinstance(item, Article) else None


def numbered(
    analyze_many: Callable[..., Generator[Result, None, None]], articles: Iterable[Item], in_flight: int
) -> Generator[BatchResult, None, None]:
    """The results of ``analyze_many`` for some articles, each with the number and id of its article."""
    ids: deque[str | None] = deque()

    def noted() -> Iterator[Item]:
        for item in articles:
            ids.append(id_of(item))
            yield item

    results = analyze_many(noted(), in_flight=in_flight)
    try:
        for index, result in enumerate(results):
            yield BatchResult(index=index, id=ids.popleft(), result=result)
    finally:
        results.close()


async def anumbered(
    analyze_many: Callable[..., AsyncGenerator[Result, None]],
    articles: Iterable[Item] | AsyncIterable[Item],
    in_flight: int,
) -> AsyncGenerator[BatchResult, None]:
    """As `numbered`, for asyncio."""
    ids: deque[str | None] = deque()

    async def noted() -> AsyncIterator[Item]:
        async for item in as_async(articles):
            ids.append(id_of(item))
            yield item

    results = analyze_many(noted(), in_flight=in_flight)
    index = 0
    try:
        async for result in results:
            yield BatchResult(index=index, id=ids.popleft(), result=result)
            index += 1
    finally:
        await results.aclose()
