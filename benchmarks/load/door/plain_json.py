"""One connection to ``/v1/analyze``, as a program without our SDK has it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.common.server import BenchmarkError
from infolens import Article

_TIMEOUT_S = 30.0


class JSONClient:
    """Asks for answers in JSON.

    Args:
        url: Such as ``http://127.0.0.1:8000``.
    """

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def analyze(self, article: Article, *, tasks: Iterable[str] | None = None) -> dict[str, Any]:
        """The answers for an article.

        Raises:
            BenchmarkError: There are none.
        """
        document: dict[str, Any] = {"text": article.text, "title": article.title}
        if tasks is not None:
            document["tasks"] = list(map(str, tasks))
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/v1/analyze", json.dumps(document), headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise BenchmarkError(f"/v1/analyze answered {response.status}: {body[:300]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer
