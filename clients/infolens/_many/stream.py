"""A batch through one HTTP request: articles go out as NDJSON while the answers to earlier ones come back.

The request ends when there has been nothing to send for a while, so that no server takes a slow source of articles for
a broken one, and a proxy that keeps a request until it has all of it passes it on; later articles go into another
request. What a broken connection leaves without an answer is sent again over the next one: analyzing an article
changes nothing on the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any, Final

import aiohttp

from infolens._transports.base import ConnectionSettings
from infolens._transports.failures import no_answer, unreachable, wrong_protocol
from infolens._transports.http import tls_context
from infolens._transports.retry import RetryPolicy
from infolens._transports.traces import read_trace_id, trace_headers
from infolens._transports.url import ServerURL
from infolens.errors import (
    AuthenticationError,
    ClientClosedError,
    PermissionDeniedError,
    RequestRejectedError,
    ServerError,
    ServerUnavailableError,
    UnexpectedResponseError,
)
from infolens.types import BatchResult, Report

from .course import Course, Row
from .in_order import Item
from .rows import CONTENT_TYPE, Asked

PATH: Final = "/v1/analyze/batch"
IDLE_S: Final = 5.0
"""After so long with nothing to send, a request ends."""
_GRACE_S: Final = 10.0
"""What a server has beyond an article's time-out to say that it was too short."""
_FOR_ALL: Final = (RequestRejectedError, UnexpectedResponseError)
"""What a server says of a whole batch that no later article would escape."""
_FOR_KEY: Final = (AuthenticationError, PermissionDeniedError)
"""What it may say so in the middle too."""
_LONGEST_LINE_BYTES: Final = 16 * 2**20


class Batch:
    """A batch, to be run once.

    Args:
        url: The server's.
        settings: Headers and certificates.
        retries: Which failures are tried again.
        asked: What is asked of every article.
        ordered: Whether the results come in the order of the articles.
        in_flight: How many articles are sent and not answered at most.
        running: Holds the batch while it is under way.

    Raises:
        InvalidSettingError: The certificates cannot be read.
    """

    def __init__(
        self,
        url: ServerURL,
        settings: ConnectionSettings,
        *,
        retries: RetryPolicy,
        asked: Asked,
        ordered: bool,
        in_flight: int,
        running: set[Batch],
    ) -> None:
        self._url = f"{url}{PATH}"
        kinds = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        self._headers = {**settings.headers, **kinds, **trace_headers(settings.headers)}
        self._trace_id: str | None = None
        """The trace of the request that is under way, which all its rows share."""
        self._context = tls_context(url, settings)
        self._asked = asked
        self._in_flight = in_flight
        self._running = running
        self._course = Course(asked, retries, ordered=ordered, ahead=2 * in_flight)
        self._sent: dict[int, Row] = {}
        """The rows of the request that is under way, by their number in it, that have no answer."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def results(self, source: AsyncIterator[Item]) -> AsyncGenerator[BatchResult, None]:
        """Send the articles, and give what comes of them.

        Raises:
            ServerError: The server refuses the whole batch, and would refuse every other article too.
            ClientClosedError: The client was closed.
        """
        self._loop = asyncio.get_running_loop()
        self._running.add(self)
        course = self._course
        tasks = [asyncio.create_task(self._read(source)), asyncio.create_task(self._send())]
        try:
            while True:
                course.news.clear()
                while (result := course.next_result()) is not None:
                    yield result
                if course.failure is not None:
                    raise course.failure
                if course.done:
                    break
                await course.news.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.discard(self)
        if course.source_failure is not None:
            # What came before the failure has been answered; none of it is lost.
            raise course.source_failure

    def stop(self) -> None:
        """Have the batch end with a `ClientClosedError`; may be called from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended, and the batch with it
                self._loop.call_soon_threadsafe(
                    self._course.fail, ClientClosedError("the client was closed while a batch was under way")
                )

    async def _read(self, source: AsyncIterator[Item]) -> None:
        try:
            while True:
                await self._course.room.acquire()
                self._course.take(await anext(source))
        except StopAsyncIteration:
            self._course.end()
        except Exception as error:  # noqa: BLE001, RUF100 - the caller's own iterable failed; `results` raises it
            self._course.end(error)

    async def _send(self) -> None:
        connector = _Connector(force_close=True, ssl=True if self._context is None else self._context)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._asked.timeout_s)
        try:
            async with aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=limits) as session:
                while await self._wait_for_work():
                    await self._request(session)
        except Exception as error:  # noqa: BLE001, RUF100 - whatever it is, the caller must not wait for ever
            self._course.fail(error)
        finally:
            connector.drop()

    async def _wait_for_work(self) -> bool:
        while not self._course.to_send:
            if self._course.done:
                return False
            self._course.work.clear()
            await self._course.work.wait()
        return True

    async def _request(self, session: aiohttp.ClientSession) -> None:
        """Send rows over one connection and take the answers until it ends; pause where it ended badly.

        Raises:
            ServerError: No later row would be answered either.
        """
        server, course = self._asked.server, self._course
        sent = self._sent = dict[int, Row]()
        error: ServerError | None = None
        counts_as: ServerError = ServerUnavailableError()  # a connection that breaks is made again
        try:
            await self._exchange(session, sent)
            if sent:
                error = unreachable(server, f"the answer ended {len(sent)} articles too early")
        except _FaultError as failure:
            error = failure.error
        except ServerError as failure:
            error = counts_as = failure
        except TimeoutError:
            error = counts_as = no_answer(server, self._asked.timeout_s)
        except aiohttp.ClientResponseError:
            # The failure itself holds the headers, and with them the key, and what the peer sent.
            error = counts_as = wrong_protocol(server)
        except (aiohttp.ClientError, OSError) as failure:
            error = counts_as = unreachable(server, str(failure) or type(failure).__name__)
        self._sent = {}
        course.give_back(sent.values())
        if error is None:
            return
        if isinstance(counts_as, _FOR_ALL) or isinstance(error, _FOR_KEY):
            raise error
        # Where nothing could be sent, the failure counts for what would have been.
        await asyncio.sleep(course.stumble(len(sent) or self._in_flight, error, counts_as))

    async def _exchange(self, session: aiohttp.ClientSession, sent: dict[int, Row]) -> None:
        """Send rows, and take answers until the server ends; what has no answer then is left in ``sent``.

        Raises:
            ServerError: The server refuses the whole batch, or its answer cannot be read.
            TimeoutError: Nothing came for longer than an article may take.
            _FaultError: The server says that it ends in the middle, and why.
            aiohttp.ClientError, OSError: The connection could not be made, or broke.
        """
        now_s = asyncio.get_running_loop().time
        limit_s = self._asked.timeout_s + _GRACE_S
        post = session.post(self._url, params={"order": "finished"}, data=self._body(sent), allow_redirects=False)
        async with asyncio.timeout(limit_s) as watch, post as response:
            if response.status != 200:
                raise self._asked.refusal(response.status, await response.read(), response.headers)
            if response.content_type != CONTENT_TYPE:
                raise UnexpectedResponseError(
                    f"{self._asked.server} must answer a batch with {CONTENT_TYPE}, but its answer is "
                    f"{response.content_type}; check the address"
                )
            self._trace_id = read_trace_id(response.headers)
            rest = b""
            async for data in response.content.iter_any():
                watch.reschedule(now_s() + limit_s)
                *lines, rest = (rest + data).split(b"\n")
                for line in filter(bytes.strip, lines):
                    self._answered(line, sent)
                if len(rest) > _LONGEST_LINE_BYTES:
                    raise UnexpectedResponseError(f"a line of an answer has at most {_LONGEST_LINE_BYTES:,} bytes")

    def _answered(self, line: bytes, sent: dict[int, Row]) -> None:
        number, result = self._asked.read(line)
        if isinstance(result, Report):
            result = replace(result, trace_id=self._trace_id)
        else:
            result.trace_id = self._trace_id
        if number is None and isinstance(result, ServerError):
            raise _FaultError(result)
        row = None if number is None else sent.pop(number, None)
        if row is None:
            raise UnexpectedResponseError(f"{self._asked.server} answered row {number}, which it was not asked")
        self._course.settle(row, result)

    async def _body(self, sent: dict[int, Row]) -> AsyncGenerator[bytes, None]:
        number = 0
        while (row := await self._next_row(sent)) is not None:
            sent[number] = row
            number += 1
            yield row.line

    async def _next_row(self, sent: dict[int, Row]) -> Row | None:
        """The next row for a request; None where it shall end."""
        course = self._course
        try:
            async with asyncio.timeout(IDLE_S):
                # Another request may have begun: then this one is only being cleared away, and takes no more rows.
                while self._sent is sent:
                    if course.to_send and len(sent) < self._in_flight:
                        return course.to_send.popleft()
                    if course.exhausted and not course.to_send:
                        return None
                    course.work.clear()
                    await course.work.wait()
        except TimeoutError:
            return None
        return None


class _Connector(aiohttp.TCPConnector):
    """Makes a connection for each request: a kept one may be gone without a word, which would count as a failure."""

    _transport: asyncio.BaseTransport | None = None

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - so it is called
    ) -> aiohttp.connector.Connection:
        """Make a connection; what is left of the one before is dropped."""
        self.drop()
        connection = await super().connect(req, traces, timeout)
        self._transport = connection.transport
        return connection

    def drop(self) -> None:
        """End the connection now: an orderly end under TLS waits for the server, and an event loop may not last."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
        self._transport = None


class _FaultError(Exception):
    """The server ends a batch in the middle."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(str(error))
        self.error = error
