"""How one user of the soak reaches the door: the client over gRPC and over HTTP, and plain HTTP without a client."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from infolens import (
    Article,
    Client,
    InfoLensError,
    Report,
    RequestTimeoutError,
    RetryPolicy,
    ServerOverloadedError,
    Summary,
    Task,
)

ONCE: Final = RetryPolicy(attempts=1)
"""Nothing is sent twice: an answer that was lost must be seen."""
_JSON: Final = {"Content-Type": "application/json"}


class Result(StrEnum):
    """What came of a request."""

    RIGHT = "right"
    """Answered as before, or refused where a refusal is right."""
    WRONG = "wrong"
    """Answered otherwise than in the beginning, or with another status than the right one."""
    REFUSED = "refused"
    """The server said that it is busy."""
    LATE = "late"
    FAILED = "failed"


LOST: Final = (Result.REFUSED, Result.LATE, Result.FAILED)
"""The results of requests that got no answer."""


class WrongAnswerError(Exception):
    """An answer that is not the one that it must be; the message has both."""


class StatusError(Exception):
    """The door answered over plain HTTP with the status of a failure."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{path}: status {status}: {body[:200].decode(errors='replace')}")
        self.status = status


_BY_STATUS: Final = {429: Result.REFUSED, 503: Result.FAILED, 504: Result.LATE}
"""What the statuses of a request that was not answered mean; any other one is wrong for what was sent."""


def result_of(error: Exception) -> Result:
    """What a request came to that ended with an error.

    Raises:
        Exception: ``error`` itself where it is none that a server can bring about.
    """
    if isinstance(error, StatusError):
        return _BY_STATUS.get(error.status, Result.WRONG)
    kinds: Mapping[type[Exception], Result] = {
        WrongAnswerError: Result.WRONG,
        ServerOverloadedError: Result.REFUSED,
        RequestTimeoutError: Result.LATE,
        TimeoutError: Result.LATE,
        InfoLensError: Result.FAILED,
        OSError: Result.FAILED,
        http.client.HTTPException: Result.FAILED,
        ValueError: Result.WRONG,  # an answer that is no JSON
    }
    for kind, result in kinds.items():
        if isinstance(error, kind):
            return result
    raise error


@dataclass(frozen=True, kw_only=True)
class Known:
    """An article, and what the server answered to it in the beginning."""

    article: Article
    answers: Mapping[Task, str]
    """The summary's text and the others' labels, by task."""


def told(report: Report) -> dict[Task, str]:
    """What a report says, by task: texts and labels, not probabilities, whose last digits are no promise."""
    return {
        task: answer.text if isinstance(answer, Summary) else answer.label for task, answer in report.answers.items()
    }


def check(known: Known, answers: Mapping[Task, str], tasks: Sequence[Task]) -> None:
    """Compare the answers to an article with those of the beginning.

    Raises:
        WrongAnswerError: One of ``tasks`` has another answer, or none.
    """
    for task in tasks:
        if answers.get(task) != known.answers[task]:
            raise WrongAnswerError(
                f"the {task} of {known.article.title!r} was {known.answers[task]!r} in the beginning and is "
                f"{answers.get(task)!r} now"
            )


class Connections:
    """The connections of one user, which it keeps.

    Args:
        grpc_url: The door's gRPC port.
        http_url: Its HTTP port.
        timeout_s: Time-out of every request.
    """

    def __init__(self, grpc_url: str, http_url: str, timeout_s: float) -> None:
        self.grpc = Client(grpc_url, timeout_s=timeout_s, retries=ONCE)
        self.http = Client(http_url, timeout_s=timeout_s, retries=ONCE)
        address = urlsplit(http_url)
        kinds: Mapping[str, Callable[..., http.client.HTTPConnection]] = {
            "http": http.client.HTTPConnection,
            "https": http.client.HTTPSConnection,
        }
        self._plain = kinds[address.scheme](address.hostname or "", address.port, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            for one in (self.grpc, self.http, self._plain):
                stack.callback(one.close)

    def get(self, path: str) -> bytes:
        """The answer to a GET.

        Raises:
            StatusError: It has another status than 200.
            OSError: There is none.
        """
        return self._answer("GET", path, None, {})

    def post(self, path: str, document: Any) -> dict[str, Any]:
        """The document that answers a POST of a document; errors as in `get`."""
        answer: dict[str, Any] = json.loads(self._answer("POST", path, json.dumps(document).encode(), _JSON))
        return answer

    def refused(self, path: str, body: bytes, status: int) -> None:
        """POST what must be refused.

        Raises:
            WrongAnswerError: It was answered.
            StatusError: It was refused with another status than ``status``.
            OSError: There is no answer.
        """
        try:
            self._answer("POST", path, body, _JSON)
        except StatusError as error:
            if error.status == status:
                return
            raise
        raise WrongAnswerError(f"{path} must be refused with status {status}, and was answered")

    def _answer(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        try:
            self._plain.request(method, path, body, dict(headers))
            answer = self._plain.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._plain.close()  # the next request opens another
            raise
        if answer.status != http.client.OK:
            raise StatusError(path, answer.status, content)
        return content
