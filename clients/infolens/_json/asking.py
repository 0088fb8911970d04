"""What both clients do with a question to the JSON API."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, TypeVar

from infolens._transports import (
    AsyncJSONTransport,
    AsyncTransport,
    JSONAnswer,
    JSONRequest,
    JSONTransport,
    Transport,
)
from infolens._transports.retry import Deadline, RetryPolicy
from infolens.errors import InvalidSettingError, ServerError

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Question(Protocol[Answer_co]):
    """A request that may be sent several times, and how its answer is read."""

    @property
    def what(self) -> str:
        """What needs the JSON API, as a message begins: ``a link is followed``."""

    def request(self, timeout_s: float) -> JSONRequest:
        """The request, which has so much time left."""

    def read(self, answer: JSONAnswer, *, server: str, timeout_s: float) -> Answer_co:
        """The answer.

        Raises:
            ServerError: There is none, or it is something else.
        """


def no_http(what: str) -> InvalidSettingError:
    """The error for a client that does not speak HTTP, of what needs it."""
    return InvalidSettingError(
        f"{what} by the server's JSON API: give the client its HTTP address, such as http://127.0.0.1:8000"
    )


class _Either:
    """What `infolens.Client` and `infolens.AsyncClient` have."""

    _timeout_s: float
    _retries: RetryPolicy
    _closed: bool

    def _check_open(self) -> None:
        raise NotImplementedError

    def _pause_s(self, error: ServerError, attempt: int, deadline: Deadline) -> float:
        """The pause before the next attempt.

        Raises:
            ServerError: There is none: what went wrong is raised again.
        """
        pause_s = self._retries.pause_s(error, attempt)
        if pause_s is None or self._closed or not deadline.allows(pause_s):
            raise error
        return pause_s


class Asking(_Either):
    """The blocking client's part that asks questions."""

    _transport: Transport

    def _ask(self, question: Question[Answer], timeout_s: float | None) -> Answer:
        self._check_open()
        transport = self._transport
        if not isinstance(transport, JSONTransport):
            raise no_http(question.what)
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            self._check_open()
            attempt += 1
            left_s = deadline.remaining_s()
            try:
                answer = transport.send(question.request(left_s), timeout_s=left_s)
                return question.read(answer, server=transport.server, timeout_s=left_s)
            except ServerError as error:
                pause_s = self._pause_s(error, attempt, deadline)
            time.sleep(pause_s)


class AsyncAsking(_Either):
    """The asyncio client's part that asks questions."""

    _transport: AsyncTransport

    async def _ask(self, question: Question[Answer], timeout_s: float | None) -> Answer:
        self._check_open()
        transport = self._transport
        if not isinstance(transport, AsyncJSONTransport):
            raise no_http(question.what)
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            self._check_open()
            attempt += 1
            left_s = deadline.remaining_s()
            try:
                answer = await transport.asend(question.request(left_s), timeout_s=left_s)
                return question.read(answer, server=transport.server, timeout_s=left_s)
            except ServerError as error:
                pause_s = self._pause_s(error, attempt, deadline)
            await asyncio.sleep(pause_s)
