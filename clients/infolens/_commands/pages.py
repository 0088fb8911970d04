"""Links and documents, whose text the server reads: ``POST /v1/extract``."""

from __future__ import annotations

import contextlib
import json
import re
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from infolens._calls import connection_settings
from infolens._many.in_order import map_in_order
from infolens._many.refused import NO_SUCH_PATH, problem_error
from infolens._transports import JSONRequest
from infolens._transports.about import read_object
from infolens._transports.http import HTTPTransport
from infolens._transports.retry import Deadline, RetryPolicy
from infolens._transports.url import parse_url
from infolens.errors import (
    InfoLensError,
    InsecureKeyWarning,
    PermissionDeniedError,
    RequestRejectedError,
    ServerError,
    UnexpectedResponseError,
)
from infolens.problems import KINDS, TYPE_PREFIX
from infolens.types import Article, Report

PATH: Final = "/v1/extract"
MAX_DOCUMENT_BYTES: Final = 16 * 2**20
_DOCUMENT: Final = re.compile(
    rb"(?s)\s*%PDF-|PK\x03\x04.*word/|"
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->|<\?xml[^>]*>)*<(?i:!doctype html|html|head|body)\b"
)
_OLDER_KINDS: Final = frozenset({"not_found", "unimplemented", "method"})


def is_document(data: bytes) -> bool:
    """Whether a file is a PDF, a Word document (.docx) or HTML, whose text a server can read."""
    return _DOCUMENT.match(data) is not None


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What a server has read in a page or document."""

    text: str
    title: str | None = None
    url: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else it says: ``author``, ``date``, ``site``, ``language``, ``reviews`` and ``notes``."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Extracted:
        """Read the answer of `PATH`.

        Raises:
            ValueError: It holds another thing.
        """
        if not isinstance(document.get("text"), str):
            raise ValueError("text must be a string")
        names = ("author", "date", "site", "language", "reviews", "notes")
        title, url = document.get("title"), document.get("url")
        return cls(
            text=document["text"],
            title=title if isinstance(title, str) and title else None,
            url=url if isinstance(url, str) and url else None,
            about={name: document[name] for name in names if document.get(name)},
        )


@dataclass(kw_only=True, eq=False)
class Page:
    """A link, or a document on this machine, whose text the server reads before the models do."""

    url: str | None = None
    data: bytes = b""
    """The document, where there is no link."""
    name: str = ""
    """The document's name."""
    title: str | None = None
    """The title that the caller gave; it counts more than the page's own."""
    found: Extracted | None = None
    """What the server has read; None before it has."""

    def article(self) -> Article:
        """The article that the server has found.

        Raises:
            InvalidArticleError: There is no text in it, or too much.
        """
        assert self.found is not None  # noqa: S101 - it is asked for when it has been read
        return Article(text=self.found.text, title=self.title or self.found.title)


class Reader:
    """Has a server read pages; may be shared between threads.

    Args:
        server: Its URL, of HTTP.
        api_key: As `infolens.Client` takes it.
        timeout_s: For each page, retries included.
        retries: Which failures are tried again.
    """

    def __init__(self, server: str | None, *, api_key: str | None, timeout_s: float, retries: RetryPolicy) -> None:
        url = parse_url(server)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyWarning)  # the client has said so already
            self._transport = HTTPTransport(url, connection_settings(url, api_key, None, None))
        self._server = str(url)
        self._timeout_s = timeout_s
        self._retries = retries

    def read(self, page: Page) -> None:
        """Have a page read; a busy server is asked again until the time is up.

        Raises:
            ServerError: The server cannot read it, or gave no answer.
        """
        deadline = Deadline(self._timeout_s)
        attempt = 0
        while True:
            attempt += 1
            try:
                page.found = self._ask(page, deadline.remaining_s())
                return
            except ServerError as error:
                pause_s = self._retries.pause_s(error, attempt, patient=True)
                if pause_s is None or not deadline.allows(pause_s):
                    raise
                time.sleep(pause_s)

    def _ask(self, page: Page, timeout_s: float) -> Extracted:
        if page.url is not None:
            path, body, content_type = PATH, json.dumps({"url": page.url}).encode(), "application/json"
        else:
            path, body, content_type = f"{PATH}?name={quote(page.name, safe='')}", page.data, "application/octet-stream"
        request = JSONRequest(path=path, body=body, headers={"Content-Type": content_type})
        status, answer, headers = self._transport.send(request, timeout_s=timeout_s)
        document = read_object(answer)
        if status != 200:
            raise self._refusal(status, answer, document, headers)
        try:
            return Extracted.of(document)
        except ValueError as error:
            raise UnexpectedResponseError(
                f"{self._server} must answer {PATH} with an article as JSON, but its answer is something else "
                f"({error}); is this an Info Lens server of the same version as the command?"
            ) from error

    def _refusal(
        self, status: int, answer: bytes, document: Mapping[str, Any], headers: Mapping[str, str]
    ) -> ServerError:
        older = (
            f"links and documents need a server with {PATH}, but {self._server} answers {status} there; update "
            "the server, or save the text of the article into a file"
        )
        kind = str(document.get("type", "")).rpartition(TYPE_PREFIX)[2]
        if status in NO_SUCH_PATH and (kind not in KINDS or kind in _OLDER_KINDS):
            return UnexpectedResponseError(older)
        error = problem_error(status, answer, headers, server=self._server, timeout_s=self._timeout_s, older=older)
        if isinstance(error, PermissionDeniedError):
            # The key, or the server, is not for links: texts are another matter, and the run goes on with them.
            return RequestRejectedError(*error.args)
        return error

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


Plain = Article | InfoLensError
Result = Report | InfoLensError


def with_pages(
    ask: Callable[..., Generator[Result, None, None]], reader: Reader, in_flight: int
) -> Callable[[Iterable[Plain | Page]], Generator[Result, None, None]]:
    """What asks for pages too: each is read by the server, and then asked for as the article that it is.

    Args:
        ask: Asks for articles, as `infolens.Client.analyze_many`.
        reader: Has pages read.
        in_flight: How many articles are under way at once.
    """

    def one(item: Plain | Page) -> Result:
        if isinstance(item, Page):
            try:
                reader.read(item)
                item = item.article()
            except InfoLensError as error:
                return error
        with contextlib.closing(ask([item], in_flight=1)) as results:
            return next(results)

    return lambda items: map_in_order(one, items, in_flight)
