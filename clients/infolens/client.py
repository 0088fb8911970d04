"""The blocking client.

>>> from infolens import Client
>>> with Client("grpc://127.0.0.1:8001") as client:  # doctest: +SKIP
...     report = client.analyze(text, title=title)
...     print(report.category.label, report.summary.text)
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Generator, Iterable, Mapping
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
from ._feedback import Feedback
from ._links import Links
from ._many import StreamMaker
from ._many.blocking import in_thread
from ._many.in_order import map_in_order, numbered
from ._transports import InferRequest, Transport, make_transport
from ._transports.retry import DEFAULT_IN_FLIGHT, DEFAULT_TIMEOUT_S, Deadline, RetryPolicy, check_timeout
from ._transports.url import parse_url
from ._transports.wire import unpack
from .contract import Task
from .errors import ClientClosedError, InfoLensError, ServerError
from .types import Article, BatchResult, Category, Report, ServerStatus, Summary, SummaryOptions, Veracity


class Client(Links, Feedback):
    """A client of an Info Lens server. It may be shared between threads; close it, or use it in a ``with``.

    Args:
        url: ``grpc://host:8001``, ``http://host:8000``, ``grpcs://host``, ``https://host``, or ``host:port`` for gRPC.
            Without one the environment variable ``INFOLENS_URL`` counts, and then ``grpc://127.0.0.1:8001``.
        api_key: Key for a server that wants one, sent as ``authorization: Bearer KEY`` with every request. Without one
            the environment variable ``INFOLENS_API_KEY`` counts; an empty one is none.
        timeout_s: Time-out of a call that brings none of its own, retries included.
        retries: Which failures are tried again; see `RetryPolicy`.
        headers: Sent with every request.
        root_certificates: PEM file of the authorities to trust under TLS, where the system's do not do.
        transport: Where the requests go instead of a URL; `infolens.testing.FakeTransport` needs no network.

    Raises:
        InvalidSettingError: An argument is not valid. No connection is made before the first call.

    Warns:
        InsecureKeyWarning: The key would travel to another machine without TLS.
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
        transport: Transport | None = None,
    ) -> None:
        self._timeout_s = check_timeout(timeout_s)
        self._retries = retries or RetryPolicy()
        self._streams: StreamMaker | None = None
        if transport is None:
            address = parse_url(url)
            settings = connection_settings(address, api_key, headers, root_certificates)
            transport = make_transport(address, settings)
            self._streams = StreamMaker(address, settings, self._retries) if address.is_http else None
        self._transport = transport
        self._closed = False

    def analyze(
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
        """Summary, category and veracity of an article, or some of them.

        Args:
            article: The article, or its text.
            title: The headline, when ``article`` is a text.
            tasks: Which answers are wanted, such as ``["summary", "category"]``; None for all three.
            options: How the summary is written.
            partial: Whether the other answers are given when a task fails: `Report.failed` then says which and why.
                Otherwise, and when every task failed or there is but one, the failure is raised; so is a time-out, for
                the answers come together: a task that takes longer than ``timeout_s`` ends the whole call.
            evidence: Whether to find what moved the labels most (`Labelled.evidence`); takes about four times as long.
            timeout_s: Time-out of the whole call, retries included; None for the client's.

        Raises:
            InvalidArticleError: The article cannot be analyzed.
            InvalidSettingError: Another argument is not valid.
            ServerError: The server gave no answer; see `infolens.errors`.
        """
        asked = request_for(to_article(article, title), tasks, options, partial=partial, evidence=evidence)
        return self._answer(*asked, timeout_s)

    def summarize(
        self,
        article: Article | str,
        *,
        options: SummaryOptions | None = None,
        timeout_s: float | None = None,
    ) -> Summary:
        """The summary alone; arguments and errors as in `analyze`."""
        report = self.analyze(article, tasks=Task.SUMMARY, options=options, timeout_s=timeout_s)
        return present(report.summary, Task.SUMMARY)

    def classify(self, article: Article | str, *, title: str | None = None, timeout_s: float | None = None) -> Category:
        """The category alone; arguments and errors as in `analyze`."""
        report = self.analyze(article, title=title, tasks=Task.CATEGORY, timeout_s=timeout_s)
        return present(report.category, Task.CATEGORY)

    def verify(self, article: Article | str, *, title: str | None = None, timeout_s: float | None = None) -> Veracity:
        """The veracity alone; arguments and errors as in `analyze`."""
        report = self.analyze(article, title=title, tasks=Task.VERACITY, timeout_s=timeout_s)
        return present(report.veracity, Task.VERACITY)

    def analyze_many(
        self,
        articles: Iterable[Article | str | InfoLensError],
        *,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
        in_flight: int = DEFAULT_IN_FLIGHT,
    ) -> Generator[Report | InfoLensError, None, None]:
        """Analyze many articles at once, and give the results in the order of the articles.

        What goes wrong with an article comes as its `InfoLensError` in its place; the others are not touched by it.
        An item that is an `InfoLensError` already is passed on, so that a reader of files can say what it could not
        read. The articles are taken as they are needed: at most twice ``in_flight`` ahead of the results. A server that
        is busy is asked again, with pauses, until the article's time is up: many articles go at the server's own pace.

        Args:
            articles: Articles or their texts; may be endless.
            tasks: As in `analyze`.
            options: As in `analyze`.
            partial: As in `analyze`.
            evidence: As in `analyze`.
            timeout_s: Time-out for each article.
            in_flight: How many articles are under way at once; past some point they only wait in the server's queue.

        Raises:
            InvalidSettingError: An argument is not valid.
        """
        check_in_flight(in_flight)
        chosen = check_asked(tasks, options, partial=partial, evidence=evidence, timeout_s=timeout_s)
        ask = functools.partial(request_for, tasks=chosen, options=options, partial=partial, evidence=evidence)

        def analyze_one(item: Article | str | InfoLensError) -> Report | InfoLensError:
            if isinstance(item, InfoLensError):
                return item
            try:
                return self._answer(*ask(to_article(item)), timeout_s, patient=True)
            except InfoLensError as error:
                return error

        return map_in_order(analyze_one, articles, in_flight)

    def analyze_batch(
        self,
        articles: Iterable[Article | str | InfoLensError],
        *,
        tasks: Iterable[Task | str] | Task | str | None = None,
        options: SummaryOptions | None = None,
        partial: bool = False,
        evidence: bool = False,
        timeout_s: float | None = None,
        ordered: bool = True,
        in_flight: int | None = None,
    ) -> Generator[BatchResult, None, None]:
        """Analyze many articles through one HTTP request, which carries answers back while it carries articles out.

        As in `analyze_many`, what goes wrong with an article comes as the error of its result, and the articles are
        taken as they are needed, in the caller's thread: at most twice ``in_flight`` ahead. A busy server has them
        wait. When the connection breaks, what has no answer is sent again, as often as `RetryPolicy` says. With a gRPC
        address, or a transport of one's own, the articles go the way of `analyze_many`, and are always in order.

        Args:
            articles: Articles or their texts; may be endless. An article's ``id`` comes back with its result.
            tasks: As in `analyze`.
            options: As in `analyze`.
            partial: As in `analyze`.
            evidence: As in `analyze`.
            timeout_s: Time-out for each article from when the server takes it up, and how long a server that refuses it
                is asked again; None for the client's.
            ordered: Whether the results come in the order of the articles, or as they are finished.
            in_flight: How many articles are sent and not answered at most; None for 64, or 16 over gRPC.

        Raises:
            InvalidSettingError: An argument is not valid.
            AuthenticationError, PermissionDeniedError, RequestRejectedError: The server takes no batch with this key.
            UnexpectedResponseError: The server has no ``/v1/analyze/batch``, as older ones.
        """
        chosen = check_asked(tasks, options, partial=partial, evidence=evidence, timeout_s=timeout_s)
        self._check_open()
        if self._streams is None:
            asked = {"tasks": chosen, "options": options, "partial": partial, "evidence": evidence}
            many = functools.partial(self.analyze_many, timeout_s=timeout_s, **asked)  # type: ignore[arg-type]
            return numbered(many, articles, check_in_flight(DEFAULT_IN_FLIGHT if in_flight is None else in_flight))
        given_s = self._timeout_s if timeout_s is None else timeout_s
        batch = self._streams.batch(
            chosen, options, partial=partial, evidence=evidence, timeout_s=given_s, ordered=ordered, in_flight=in_flight
        )
        return in_thread(batch.results, articles)

    def status(self, *, timeout_s: float | None = None) -> ServerStatus:
        """The server's version, whether it and each model that serves a task are ready, and the labels of each task.

        Raises:
            ServerError: The server did not answer.
        """
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        self._check_open()
        configurations = {
            model: self._transport.configuration(model, timeout_s=deadline.remaining_s()) for model in entries()
        }
        found = serving(configurations)
        status = self._transport.probe(found.models, timeout_s=deadline.remaining_s())
        return found.added_to(status)

    def is_ready(self, *, timeout_s: float | None = None) -> bool:
        """Whether every task can be answered now; False also when the server cannot be reached."""
        try:
            return self.status(timeout_s=timeout_s).ready
        except ServerError:
            return False

    def close(self) -> None:
        """Close the connections. Calls under way fail, later ones raise `ClientClosedError`; closing twice is fine."""
        if not self._closed:
            self._closed = True
            if self._streams is not None:
                self._streams.stop()
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("this client is closed; make a new one")

    def _answer(
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
                given = unpack(self._transport.infer(request, timeout_s=deadline.remaining_s()), tasks)
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
            time.sleep(pause_s)
