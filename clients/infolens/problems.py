"""Problem details (RFC 9457): how a server says in JSON what is wrong, and which error that is.

>>> from infolens import RateLimitedError
>>> from infolens.problems import to_problem
>>> to_problem(RateLimitedError("10 requests a minute", retry_after_s=3))["type"]
'/v1/problems/limited'

Both sides use it: the server writes a `Problem`, the client reads one. An error that a client raises comes back as the
same type, but for those that no server sends: an article or a setting that is not valid comes back as a request that
was refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ._transports.failures import explained, to_error
from .errors import (
    AuthenticationError,
    InferenceFailedError,
    InfoLensError,
    InvalidArticleError,
    InvalidSettingError,
    InvalidTableError,
    ModelUnavailableError,
    PermissionDeniedError,
    PredictionNotFoundError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
)

__all__ = ["CONTENT_TYPE", "KINDS", "TYPE_PREFIX", "Fault", "Kind", "Problem", "from_problem", "to_problem"]

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/v1/problems/"
"""What stands before a kind in ``type``; the server says there what the kind means."""
_NO_TYPE: Final = "about:blank"
"""The type of a problem that means no more than its status."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of problem: what all of its problems have in common."""

    status: int
    """The HTTP status."""
    title: str
    error: type[ServerError]
    """What a client raises."""


KINDS: Final[Mapping[str, Kind]] = {
    "invalid": Kind(status=400, title="The request breaks a rule", error=RequestRejectedError),
    "unauthenticated": Kind(status=401, title="A valid API key is needed", error=AuthenticationError),
    "forbidden": Kind(status=403, title="The API key is not for this", error=PermissionDeniedError),
    "not_found": Kind(status=404, title="There is no such thing here", error=ModelUnavailableError),
    "unimplemented": Kind(status=404, title="The server does not offer this", error=RequestRejectedError),
    "method": Kind(status=405, title="The path does not take this method", error=RequestRejectedError),
    "too_slow": Kind(status=408, title="The request came too slowly", error=RequestTimeoutError),
    "conflict": Kind(status=409, title="It was done already, in another way", error=RequestRejectedError),
    "too_large": Kind(status=413, title="The request is too large", error=RequestRejectedError),
    "encoding": Kind(status=415, title="The body is in a form that is not read", error=RequestRejectedError),
    "busy": Kind(status=429, title="The server is busy", error=ServerOverloadedError),
    "limited": Kind(status=429, title="The API key asks too much", error=RateLimitedError),
    "headers": Kind(status=431, title="The headers are too large", error=RequestRejectedError),
    "cancelled": Kind(status=499, title="The caller has left", error=InferenceFailedError),
    "failed": Kind(status=503, title="A model failed", error=InferenceFailedError),
    "away": Kind(status=503, title="The server cannot answer now", error=ServerUnavailableError),
    "late": Kind(status=504, title="The time was up", error=RequestTimeoutError),
}
"""Every kind of problem, by the last part of its type."""

_KIND_OF: Final[Mapping[type[InfoLensError], str]] = {
    InvalidArticleError: "invalid",
    InvalidSettingError: "invalid",
    InvalidTableError: "invalid",
    RequestRejectedError: "invalid",
    AuthenticationError: "unauthenticated",
    PermissionDeniedError: "forbidden",
    ModelUnavailableError: "not_found",
    PredictionNotFoundError: "not_found",
    ServerUnavailableError: "away",
    RequestTimeoutError: "late",
    ServerOverloadedError: "busy",
    RateLimitedError: "limited",
    InferenceFailedError: "failed",
}
"""The kind of each error; what is not here means no more than that the server failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong with a request."""

    pointer: str
    """Where: a JSON pointer into the body, such as ``/summary/max_length``."""
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem document.

    Raises:
        KeyError: No kind of `KINDS` has this name.
    """

    kind: str | None
    """A name of `KINDS`; None where only the status is known."""
    detail: str
    """What is wrong here: the rule, the value and the way out."""
    status: int = 0
    """The HTTP status; 0 for that of the kind."""
    instance: str | None = None
    """The id of the request."""
    errors: tuple[Fault, ...] = ()
    retry_after_ms: int | None = None
    """In how many milliseconds it is worth to ask again."""

    def __post_init__(self) -> None:
        if self.kind is not None:
            object.__setattr__(self, "status", self.status or KINDS[self.kind].status)

    def to_dict(self) -> dict[str, Any]:
        """The document as JSON has it; what is not known has no key."""
        kind = None if self.kind is None else KINDS[self.kind]
        document = {
            "type": _NO_TYPE if self.kind is None else f"{TYPE_PREFIX}{self.kind}",
            "title": "The server failed" if kind is None else kind.title,
            "status": self.status or 500,
            "detail": self.detail,
            "instance": self.instance,
            "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in self.errors] or None,
            "retry_after_ms": self.retry_after_ms,
        }
        return {name: value for name, value in document.items() if value is not None}


def to_problem(error: InfoLensError, *, instance: str | None = None, errors: tuple[Fault, ...] = ()) -> dict[str, Any]:
    """The problem document of an error.

    Args:
        error: The error; its message becomes the detail.
        instance: The id of the request; by default the error's own.
        errors: What is wrong with the request, and where.
    """
    of_server = error if isinstance(error, ServerError) else ServerError()
    wait_s = of_server.retry_after_s
    kind = next((_KIND_OF[base] for base in type(error).__mro__ if base in _KIND_OF), None)
    return Problem(
        kind=kind,
        detail=str(error),
        instance=instance or of_server.request_id,
        errors=errors,
        retry_after_ms=None if wait_s is None else math.ceil(1000 * wait_s),
    ).to_dict()


def from_problem(document: Mapping[str, Any], *, server: str = "", timeout_s: float = 0.0) -> ServerError:
    """The error that a problem document stands for.

    A document of a kind that is not known counts by its status, as other answers do. A member of another type than it
    should have counts as one that is not there.

    Args:
        document: The document, as JSON has it.
        server: The server's URL, for a message as those of other errors; empty for the detail alone.
        timeout_s: The time-out that the request had, for the message.
    """
    kind = KINDS.get(_text(document, "type").rpartition(TYPE_PREFIX)[2])
    words = _text(document, "detail") or _text(document, "title") or "it gave no reason"
    faults = document.get("errors")
    for fault in faults if isinstance(faults, list) else ():
        if isinstance(fault, Mapping) and _text(fault, "detail") not in words:
            words += f"; {_text(fault, 'pointer')}: {_text(fault, 'detail')}"
    wait_ms = document.get("retry_after_ms")
    known = isinstance(wait_ms, int | float) and not isinstance(wait_ms, bool) and 0 <= wait_ms < math.inf
    wait_s = wait_ms / 1000 if known and wait_ms is not None else None
    if kind is None:
        code = str(document.get("status"))
        return to_error(code=code, message=words, server=server, timeout_s=timeout_s, retry_after_s=wait_s)
    about = explained(kind.error, words, server) if server else words
    return kind.error(about, retry_after_s=wait_s, request_id=_text(document, "instance") or None)


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
