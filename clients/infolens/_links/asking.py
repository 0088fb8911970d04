"""A link as a request of ``/v1/analyze``, and its answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from infolens._calls import check_asked
from infolens._many.rows import Asked, read_report
from infolens._transports.failures import read_seconds
from infolens._transports.http import refusal
from infolens.contract import Task
from infolens.errors import InvalidArticleError, InvalidSettingError, ServerError, UnexpectedResponseError
from infolens.problems import from_problem
from infolens.types import Article, SummaryOptions

from .values import LinkedArticle, LinkedReport

PATH: Final = "/v1/analyze"
CONTENT_TYPE: Final = "application/json"
NO_HTTP: Final = (
    "a link is followed by the server's JSON API: give the client its HTTP address, such as http://127.0.0.1:8000, or "
    "send the text of the article"
)
"""Said of addresses of gRPC, and of transports of one's own."""
_NO_SUCH_PATH: Final = frozenset({404, 405, 501})


class LinkQuestion:
    """What is asked about a link.

    Args:
        url: The link.
        title: A headline that counts more than the page's.
        tasks: As in `infolens.Client.analyze`, as all that follows.
        options: How the summary is written.
        partial: Whether answers are given though a task fails.
        evidence: Whether to find what moved the labels most.
        server: The server's URL, for messages.

    Raises:
        InvalidArticleError: ``url`` is no text.
        InvalidSettingError: Another argument is not valid.
    """

    def __init__(
        self,
        url: str,
        title: str | None,
        tasks: Iterable[Task | str] | Task | str | None,
        options: SummaryOptions | None,
        *,
        partial: bool,
        evidence: bool,
        server: str,
    ) -> None:
        if not isinstance(url, str) or not url.strip():
            raise InvalidArticleError(f"a link is a str such as https://news.example/story, not {url!r:.80}")
        self._url = url.strip()
        self._title = title
        self._tasks = check_asked(tasks, options, partial=partial, evidence=evidence)
        self._options = options
        self._partial, self._evidence = partial, evidence
        self._server = server

    def body(self, timeout_s: float) -> bytes:
        """The document that asks."""
        asked = Asked(
            tasks=self._tasks,
            options=self._options,
            partial=self._partial,
            evidence=self._evidence,
            timeout_s=timeout_s,
            server=self._server,
        )
        # The line of an article, with the link in the place of its text.
        row: dict[str, Any] = json.loads(asked.line(Article(text=self._url, title=self._title)))
        row["url"] = row.pop("text")
        return json.dumps(row, ensure_ascii=False).encode()

    def read(self, status: int, body: bytes, headers: Mapping[str, str], timeout_s: float) -> LinkedReport:
        """The answer.

        Raises:
            ServerError: There is none, or it is something else.
        """
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if status != 200:
            raise self._refusal(status, body, document, headers, timeout_s)
        try:
            return LinkedReport(
                report=read_report(document, self._tasks), article=LinkedArticle.of(document["article"])
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnexpectedResponseError(
                f"{self._server} must answer {PATH} with article and answers, but its answer is something else "
                f"({type(error).__name__}: {error}); is this an Info Lens server of the same version as the client?"
            ) from error

    def _refusal(
        self, status: int, body: bytes, document: Any, headers: Mapping[str, str], timeout_s: float
    ) -> ServerError:
        if isinstance(document, dict) and isinstance(document.get("type"), str):
            error = from_problem({"status": status, **document}, server=self._server, timeout_s=timeout_s)
            if error.retry_after_s is None:
                error.retry_after_s = read_seconds(headers.get("Retry-After"))
            return error
        if status in _NO_SUCH_PATH:
            return UnexpectedResponseError(
                f"analyze_url needs a server with {PATH}, but {self._server} answers {status} there: update the server"
            )
        return refusal(status, body, headers, server=self._server, timeout_s=timeout_s)


def no_http() -> InvalidSettingError:
    """The error for a client that does not speak HTTP."""
    return InvalidSettingError(NO_HTTP)
