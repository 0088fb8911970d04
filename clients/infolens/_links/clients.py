"""What both clients do with a link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from infolens._transports import AsyncTransport, Transport
from infolens._transports.retry import Deadline, RetryPolicy
from infolens.contract import Task
from infolens.errors import ServerError
from infolens.types import SummaryOptions

from .values import LinkedReport


class _Either:
    """What `infolens.Client` and `infolens.AsyncClient` have."""

    _timeout_s: float
    _retries: RetryPolicy
    _closed: bool

    def _check_open(self) -> None:
        raise NotImplementedError


class Links(_Either):
    """The blocking client's part that is about links."""

    _transport: Transport

    def analyze_url(
        self,
        url: str,
        *,
        title: str | None = None,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
    ) -> LinkedReport:
        """What `analyze` gives for the article behind a link, and that article; for HTTP addresses alone.

        The server fetches the page, which takes up to 10 s, if it may and, where it wants keys, if yours has the role
        ``fetch``.

        Args:
            url: The link: http or https.
            title: A headline that counts more than the page's.
            tasks: As in `analyze`.
            options: As in `analyze`.
            partial: As in `analyze`.
            evidence: As in `analyze`.
            timeout_s: Time-out of the whole call, fetching and retries included; None for the client's.

        Raises:
            InvalidArticleError: ``url`` is no text.
            InvalidSettingError: Another argument is not valid, or the client's address is none of HTTP.
            PermissionDeniedError: The server fetches no links, or not for this key.
            RequestRejectedError: Nothing could be read there; its words say why.
            ServerError: The server gave no answer for another reason.
        """
        from infolens._transports.http import HTTPTransport

        from .asking import CONTENT_TYPE, PATH, LinkQuestion, no_http

        self._check_open()
        transport = self._transport
        if not isinstance(transport, HTTPTransport):
            raise no_http()
        question = LinkQuestion(url, title, tasks, options, partial=partial, evidence=evidence, server=transport.server)
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            self._check_open()
            attempt += 1
            left_s = deadline.remaining_s()
            try:
                answer = transport.post(PATH, question.body(left_s), CONTENT_TYPE, timeout_s=left_s)
                return question.read(*answer, left_s)
            except ServerError as error:
                pause_s = self._retries.pause_s(error, attempt)
                if pause_s is None or self._closed or not deadline.allows(pause_s):
                    raise
            time.sleep(pause_s)


class AsyncLinks(_Either):
    """The asyncio client's part that is about links."""

    _transport: AsyncTransport

    async def analyze_url(
        self,
        url: str,
        *,
        title: str | None = None,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
    ) -> LinkedReport:
        """As `Client.analyze_url`."""
        from infolens._transports.http_aio import AsyncHTTPTransport

        from .asking import CONTENT_TYPE, PATH, LinkQuestion, no_http

        self._check_open()
        transport = self._transport
        if not isinstance(transport, AsyncHTTPTransport):
            raise no_http()
        question = LinkQuestion(url, title, tasks, options, partial=partial, evidence=evidence, server=transport.server)
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        attempt = 0
        while True:
            self._check_open()
            attempt += 1
            left_s = deadline.remaining_s()
            try:
                answer = await transport.post(PATH, question.body(left_s), CONTENT_TYPE, timeout_s=left_s)
                return question.read(*answer, left_s)
            except ServerError as error:
                pause_s = self._retries.pause_s(error, attempt)
                if pause_s is None or self._closed or not deadline.allows(pause_s):
                    raise
            await asyncio.sleep(pause_s)
