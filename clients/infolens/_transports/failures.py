"""What a failed request means: one table from the protocols' status codes to the errors of infolens.

gRPC and HTTP carry the same codes of Triton; its HTTP server translates them to the numbers beside the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from infolens.contract import FAILED
from infolens.errors import (
    AuthenticationError,
    InferenceFailedError,
    ModelUnavailableError,
    PermissionDeniedError,
    RateLimitedError,
    RequestRejectedError,
    RequestTimeoutError,
    ServerError,
    ServerOverloadedError,
    ServerUnavailableError,
    UnexpectedResponseError,
)


@dataclass(frozen=True)
class _Rule:
    codes: frozenset[str]
    """gRPC status names and HTTP status numbers."""
    pattern: str
    """What the server's message must contain, as a regular expression; the first rule that fits counts."""
    error: type[ServerError]
    advice: str


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUSY: Final = r"(?i)max(imum)? queue size|queue is full|too many requests|server is busy"
_START: Final = "start the server, or name another with --server or INFOLENS_URL"
_FEWER: Final = "send fewer requests at once, or allow them more time"
_KEY: Final = "pass a valid key: api_key, INFOLENS_API_KEY or --api-key-file"
_ROLE: Final = "use a key whose role allows it"
_LIMIT: Final = "ask less often, or have the limits of the key raised"

_RULES: Final = (
    _Rule(
        _codes("UNAVAILABLE RESOURCE_EXHAUSTED 503 429"),
        _BUSY,
        ServerOverloadedError,
        _FEWER,
    ),
    _Rule(_codes("RESOURCE_EXHAUSTED 429"), "", RateLimitedError, _LIMIT),
    _Rule(
        _codes("UNAVAILABLE DEADLINE_EXCEEDED INTERNAL 503 500"),
        r"(?i)timeout expired",
        RequestTimeoutError,
        "the request waited too long in the server's queue: send fewer at once, or raise timeout_s",
    ),
    _Rule(
        _codes("UNAVAILABLE 403"),
        r"(?i)protocol is restricted",
        RequestRejectedError,
        "this part of the server's API is restricted: pass the header that it expects",
    ),
    _Rule(
        _codes("UNAVAILABLE NOT_FOUND INVALID_ARGUMENT 503 404 400"),
        r"(?i)unknown model|no available versions|model .* is not ready",
        ModelUnavailableError,
        "see `infolens status` for the models that are ready",
    ),
    _Rule(
        _codes("INVALID_ARGUMENT 400"),
        rf"(?i)unexpected inference output '{FAILED.name}'",
        RequestRejectedError,
        "it gives no partial answers: leave partial out, or update the server",
    ),
    _Rule(
        _codes("INVALID_ARGUMENT 400"),
        r"(?i)unexpected inference output",
        ModelUnavailableError,
        "it has no model for a task that was asked for, or is of another version than the client: "
        "see `infolens status`, and name the tasks that it has",
    ),
    _Rule(_codes("DEADLINE_EXCEEDED 408 504"), "", RequestTimeoutError, "raise timeout_s, or ask for less"),
    _Rule(_codes("UNAVAILABLE 502 503"), "", ServerUnavailableError, _START),
    _Rule(_codes("UNAUTHENTICATED 401"), "", AuthenticationError, _KEY),
    _Rule(_codes("PERMISSION_DENIED 403"), "", PermissionDeniedError, _ROLE),
    _Rule(_codes("INVALID_ARGUMENT OUT_OF_RANGE FAILED_PRECONDITION 400 413 422"), "", RequestRejectedError, ""),
    _Rule(_codes("INTERNAL UNKNOWN ABORTED DATA_LOSS CANCELLED 500"), "", InferenceFailedError, "see the server's log"),
    _Rule(
        _codes("UNIMPLEMENTED NOT_FOUND 404 405"),
        "",
        UnexpectedResponseError,
        "this does not look like a Triton server: check the address and the protocol (gRPC 8001, HTTP 8000)",
    ),
)

_ADVICE: Final[Mapping[type[ServerError], str]] = {
    AuthenticationError: _KEY,
    PermissionDeniedError: _ROLE,
    RateLimitedError: _LIMIT,
    ServerOverloadedError: _FEWER,
    ModelUnavailableError: "see `infolens status` for the models that are ready",
    InferenceFailedError: "see the server's log",
}
"""What helps with most errors of a type, where the status says no more."""

_ENSEMBLE: Final = re.compile(r"^(in ensemble '[^']*', )+")


def to_error(
    *,
    code: str,
    message: str,
    server: str,
    timeout_s: float,
    retry_after_s: float | None = None,
    request_id: str | None = None,
) -> ServerError:
    """The error for a failed request.

    Args:
        code: Name of a gRPC status, such as ``UNAVAILABLE``, or an HTTP status number.
        message: What the server or the library said.
        server: The server's URL.
        timeout_s: The time-out that the request had.
        retry_after_s: In how many seconds the server wants to be asked again, where it says so.
        request_id: The server's id of the request, where it says so.
    """
    message = " ".join(_ENSEMBLE.sub("", message).split()) or "it gave no reason"
    rule = next((rule for rule in _RULES if code in rule.codes and re.search(rule.pattern, message)), None)
    if rule is None:
        error: type[ServerError] = UnexpectedResponseError
        words = f"{server} answered with status {code}: {message}"
    elif rule.error is RequestTimeoutError and not rule.pattern:
        error, words = rule.error, _no_answer(server, timeout_s)
    else:
        error, words = rule.error, explained(rule.error, message, server, rule.advice)
    return error(words, retry_after_s=retry_after_s, request_id=request_id)


def explained(error: type[ServerError], message: str, server: str, advice: str | None = None) -> str:
    """The message of an error of some type: who says what, and what can be done about it.

    Args:
        error: The type.
        message: What the server or the library said.
        server: The server's URL.
        advice: What can be done; None for what helps with most errors of this type.
    """
    advice = _ADVICE.get(error, "") if advice is None else advice
    end = f"; {advice}" if advice else ""
    if error is ServerUnavailableError:
        return f"cannot reach {server} ({message}){end}"
    if issubclass(error, RequestRejectedError):
        return f"{server} refused the request: {message}{end}"
    return f"{server} did not answer: {message}{end}"


def is_busy(reason: str) -> bool:
    """Whether a server says that it has no room for a request now."""
    return re.search(_BUSY, reason) is not None


def no_answer(server: str, timeout_s: float) -> RequestTimeoutError:
    """The error for a request whose time is up."""
    return RequestTimeoutError(_no_answer(server, timeout_s))


def _no_answer(server: str, timeout_s: float) -> str:
    return f"no answer from {server} within {timeout_s:.3g} s; raise timeout_s, or ask for less"


def unreachable(server: str, reason: object) -> ServerUnavailableError:
    """The error for a connection that could not be made, or broke."""
    return ServerUnavailableError(f"cannot reach {server} ({reason}); {_START}")


def read_seconds(value: str | None) -> float | None:
    """The seconds of a ``Retry-After``; None where there are none, or a date stands there."""
    return float(value) if value is not None and value.isascii() and value.isdigit() else None
