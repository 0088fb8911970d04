"""The asyncio client: the methods of `infolens.Client`, to be awaited.

>>> from infolens import AsyncClient
>>> async with AsyncClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     async for result in client.analyze_many(articles):
...         print(result)
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ._calls import (
    asked_again,
    check_asked,
    check_in_flight,
    connection_settings,
    entries,
    present,
    refused_in,
    request_for,
    serving,
    to_article,
)
from ._feedback import AsyncFeedback
from ._links import AsyncLinks
from ._many import StreamMaker
from ._many.in_order import Item, anumbered, as_async
from ._transports import AsyncTransport, InferRequest, make_async_transport
from ._transports.retry import DEFAULT_IN_FLIGHT, DEFAULT_TIMEOUT_S, Deadline, RetryPolicy, check_timeout
from ._transports.url import parse_url
from ._transports.wire import unpack
from .contract import Task
from .errors import ClientClosedError, InfoLensError, ServerError
from .types import Article, BatchResult, Category, Report, ServerStatus, Summary, SummaryOptions, Veracity


class AsyncClient(AsyncLinks, AsyncFeedback):
    """An asyncio client of an Info Lens server; it belongs to one event loop. Use it in an ``async with``.

    Arguments and errors are those of `infolens.Client`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        root_certificates: str | Path | None = None,
        transport: AsyncTransport | None = None,
    ) -> None:
        self._timeout_s = check_timeout(timeout_s)
        self._retries = retries or RetryPolicy()
        self._streams: StreamMaker | None = None
        if transport is None:
            address = parse_url(url)
            settings = connection_settings(address, api_key, headers, root_certificates)
            transport = make_async_transport(address, settings)
            self._streams = StreamMaker(address, settings, self._retries) if address.is_http else None
        self._transport = transport
        self._closed = False

    async def analyze(
        self,
        article: Article | str,
        *,
        title: str | None = None,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
    ) -> Report:
        """As `Client.analyze`."""
        asked = request_for(to_article(article, title), tasks, options, partial=partial, evidence=evidence)
        return await self._answer(*asked, timeout_s)

    async def summarize(
        self, article: Article | str, *, options: SummaryOptions | None = None, timeout_s: float | None = None
    ) -> Summary:
        """As `Client.summarize`."""
        report = await self.analyze(article, tasks=Task.SUMMARY, options=options, timeout_s=timeout_s)
        return present(report.summary, Task.SUMMARY)

    async def classify(
        self, article: Article | str, *, title: str | None = None, timeout_s: float | None = None
    ) -> Category:
        """As `Client.classify`."""
        report = await self.analyze(article, title=title, tasks=Task.CATEGORY, timeout_s=timeout_s)
        return present(report.category, Task.CATEGORY)

    async def verify(
        self, article: Article | str, *, title: str | None = None, timeout_s: float | None = None
    ) -> Veracity:
        """As `Client.verify`."""
        report = await self.analyze(article, title=title, tasks=Task.VERACITY, timeout_s=timeout_s)
        return present(report.veracity, Task.VERACITY)

    async def analyze_many(
        self,
        articles: Iterable[Item] | AsyncIterable[Item],
        *,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
        in_flight: int = DEFAULT_IN_FLIGHT,
    ) -> AsyncGenerator[Report | InfoLensError, None]:
        """As `Client.analyze_many`; ``articles`` may be an async iterable as well."""
        gate = asyncio.Semaphore(check_in_flight(in_flight))
        chosen = check_asked(tasks, options, partial=partial, evidence=evidence, timeout_s=timeout_s)
        ask = functools.partial(request_for, tasks=chosen, options=options, partial=partial, evidence=evidence)

        async def analyze_one(item: Item) -> Report | InfoLensError:
            if isinstance(item, InfoLensError):
                return item
            async with gate:
                try:
                    return await self._answer(*ask(to_article(item)), timeout_s, patient=True)
                except InfoLensError as error:
                    return error

        pending: deque[asyncio.Task[Report | InfoLensError]] = deque()
        source = as_async(articles)
        failure: Exception | None = None
        exhausted = False
        try:
            while True:
                while not exhausted and len(pending) < 2 * in_flight:
                    try:
                        pending.append(asyncio.create_task(analyze_one(await anext(source))))
                    except StopAsyncIteration:
                        exhausted = True
                    except Exception as error:  # noqa: BLE001, RUF100 - the caller's own iterable failed: see below
                        exhausted, failure = True, error
                if not pending:
                    break
                yield await pending.popleft()
            if failure is not None:
                # What came before the failure has been answered; none of it is lost.
                raise failure
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def analyze_batch(
        self,
        articles: Iterable[Item] | AsyncIterable[Item],
        *,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
        ordered: bool = True,
        in_flight: int | None = None,
    ) -> AsyncGenerator[BatchResult, None]:
        """As `Client.analyze_batch`; ``articles`` may be an async iterable as well."""
        chosen = check_asked(tasks, options, partial=partial, evidence=evidence, timeout_s=timeout_s)
        self._check_open()
        if self._streams is None:
            many = functools.partial(
                self.analyze_many,
                tasks=chosen,
                options=options,
                partial=partial,
                evidence=evidence,
                timeout_s=timeout_s,
            )
            return anumbered(many, articles, check_in_flight(DEFAULT_IN_FLIGHT if in_flight is None else in_flight))
        given_s = self._timeout_s if timeout_s is None else timeout_s
        batch = self._streams.batch(
            chosen, options, partial=partial, evidence=evidence, timeout_s=given_s, ordered=ordered, in_flight=in_flight
        )
        return batch.results(as_async(articles))

    async def status(self, *, timeout_s: float | None = None) -> ServerStatus:
        """As `Client.status`."""
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        self._check_open()
        configurations = {
            model: await self._transport.aconfiguration(model, timeout_s=deadline.remaining_s()) for model in entries()
        }
        found = serving(configurations)
        status = await self._transport.aprobe(found.models, timeout_s=deadline.remaining_s())
        return found.added_to(status)

    async def is_ready(self, *, timeout_s: float | None = None) -> bool:
        """As `Client.is_ready`."""
        try:
            return (await self.status(timeout_s=timeout_s)).ready
        except ServerError:
            return False

    async def aclose(self) -> None:
        """As `Client.close`."""
        if not self._closed:
            self._closed = True
            if self._streams is not None:
                self._streams.stop()
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one")

    async def _answer(
        self, request: InferRequest, tasks: Collection[Task], timeout_s: float | None, *, patient: bool = False
    ) -> Report:
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        given: Report | None = None
        while True:
            self._check_open()
            attempt += 1
            error: ServerError | None
            try:
                given = unpack(await self._transport.ainfer(request, timeout_s=deadline.remaining_s()), tasks)
                error = refused_in(given)  # a busy server may refuse one task of a partial answer
            except ServerError as failure:
                if (older := asked_again(request, failure)) is not None:
                    request = older
                    continue
                error = failure
            pause_s = self._retries.pause_s(error, attempt, patient=patient) if error else None
            if pause_s is None or self._closed or not deadline.allows(pause_s):
                if given is not None:
                    return given
                assert error is not None  # noqa: S101 - without an answer there is an error
                raise error
            await asyncio.sleep(pause_s)
