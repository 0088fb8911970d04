"""A link as a request of ``/v1/analyze``, and its answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from infolens._calls import check_asked
from infolens._many.refused import problem_error
from infolens._many.rows import Asked, read_report
from infolens._transports import JSONAnswer, JSONRequest
from infolens._transports.about import read_object
from infolens.contract import Task
from infolens.errors import InvalidArticleError, UnexpectedResponseError
from infolens.types import Article, SummaryOptions

from .values import LinkedArticle, LinkedReport

PATH: Final = "/v1/analyze"


class LinkQuestion:
    """What is asked about a link.

    Args:
        url: The link.
        title: A headline that counts more than the page's.
        tasks: As in `infolens.Client.analyze`, as all that follows.
        options: How the summary is written.
        partial: Whether answers are given though a task fails.
        evidence: Whether to find what moved the labels most.

    Raises:
        InvalidArticleError: ``url`` is no text.
        InvalidSettingError: Another argument is not valid.
    """

    what: str = "a link is followed"

    def __init__(
        self,
        url: str,
        title: str | None,
        tasks: Iterable[Task | str] | Task | str | None,
        options: SummaryOptions | None,
        *,
        partial: bool,
        evidence: bool,
    ) -> None:
        if not isinstance(url, str) or not url.strip():
            raise InvalidArticleError(f"a link is a str such as https://news.example/story, not {url!r:.80}")
        self._url = url.strip()
        self._title = title
        self._tasks = check_asked(tasks, options, partial=partial, evidence=evidence)
        self._options = options
        self._partial, self._evidence = partial, evidence

    def request(self, timeout_s: float) -> JSONRequest:
        """The request, which has so much time left."""
        asked = Asked(
            tasks=self._tasks,
            options=self._options,
            partial=self._partial,
            evidence=self._evidence,
            timeout_s=timeout_s,
        )
        checked = Article(text=self._url, title=self._title)
        body = json.dumps(asked.document(url=checked.text, title=checked.title), ensure_ascii=False).encode()
        return JSONRequest(path=PATH, body=body, headers={"Content-Type": "application/json"})

    def read(self, answer: JSONAnswer, *, server: str, timeout_s: float) -> LinkedReport:
        """The answer.

        Raises:
            ServerError: There is none, or it is something else.
        """
        status, body, headers = answer
        if status != 200:
            older = f"analyze_url needs a server with {PATH}, but {server} answers {status} there: update the server"
            raise problem_error(status, body, headers, server=server, timeout_s=timeout_s, older=older)
        document = read_object(body)
        try:
            return LinkedReport(
                report=read_report(document, self._tasks), article=LinkedArticle.of(document["article"])
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnexpectedResponseError(
                f"{server} must answer {PATH} with article and answers, but its answer is something else "
                f"({type(error).__name__}: {error}); is this an Info Lens server of the same version as the client?"
            ) from error
