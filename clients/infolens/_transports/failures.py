"""What a failed request means: one table from the protocols' status codes to the errors of infolens.

gRPC and HTTP carry the same codes of Triton; its HTTP server translates them to the numbers beside the names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from infolens.contract import EVIDENCE, FAILED
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
    WrongServerError,
)

from .url import DEFAULT_PORTS, parse_url


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
_AWAY: Final = "see `infolens status` for what is away"
_FEWER: Final = "send fewer requests at once, or allow them more time"
_KEY: Final = "pass a valid key: api_key, INFOLENS_API_KEY or --api-key-file"
_ROLE: Final = "use a key whose role allows it"
_LIMIT: Final = "ask less often, or have the limits of the key raised"

_NO_REASON: Final = _Rule(
    _codes("UNAVAILABLE CANCELLED 502 503"), "", ServerUnavailableError, f"send it again in a moment, and {_AWAY}"
)
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
        rf"(?i)unexpected inference output '{EVIDENCE.name}'",
        RequestRejectedError,
        "it tells no evidence: leave evidence out, or update the server",
    ),
    _Rule(
        _codes("INVALID_ARGUMENT 400"),
        r"(?i)unexpected inference output",
        ModelUnavailableError,
        "it has no model for a task that was asked for, or is of another version than the client: "
        "see `infolens status`, and name the tasks that it has",
    ),
    _Rule(_codes("DEADLINE_EXCEEDED 408 504"), "", RequestTimeoutError, "raise timeout_s, or ask for less"),
    _Rule(_codes("UNAVAILABLE 502 503"), r"(?i)\bagain\b", ServerUnavailableError, _AWAY),
    _NO_REASON,
    _Rule(_codes("UNAUTHENTICATED 401"), "", AuthenticationError, _KEY),
    _Rule(_codes("PERMISSION_DENIED 403"), "", PermissionDeniedError, _ROLE),
    _Rule(_codes("INVALID_ARGUMENT OUT_OF_RANGE FAILED_PRECONDITION 400 409 413 422"), "", RequestRejectedError, ""),
    _Rule(_codes("INTERNAL UNKNOWN ABORTED DATA_LOSS 500"), "", InferenceFailedError, "see the server's log"),
    _Rule(
        _codes("UNIMPLEMENTED NOT_FOUND 404 405"),
        "",
        WrongServerError,
        "this does not look like a Triton server: check the address and the protocol (gRPC 8001, HTTP 8000)",
    ),
)

_ADVICE: Final[Mapping[type[ServerError], str]] = {
    AuthenticationError: _KEY,
    PermissionDeniedError: _ROLE,
    RateLimitedError: _LIMIT,
    ServerOverloadedError: _FEWER,
    ModelUnavailableError: "see `infolens status` for the models that are ready",
    ServerUnavailableError: _AWAY,
    InferenceFailedError: "see the server's log",
}
"""What helps with most errors of a type, where the status says no more."""

_BROKEN: Final = re.compile(
    r"(?i)connect|resol[uv]|hostname|handshake|socket|GOAWAY|reset|stream|peer|transport|recvmsg|sendmsg|broken pipe"
)
"""What the gRPC library says of a connection, and not the server at its other end."""
_CONNECTING: Final = re.compile(
    r"^failed to connect to all addresses; last error: \w+: \S+: (Failed to connect to remote host: )?"
)
"""What the gRPC library puts before the reason."""
_OTHER_PROTOCOL: Final = re.compile(r"(?i)http1\.x|parsing HTTP/2|SETTINGS frame|bad status line|WRONG_VERSION_NUMBER")
_NOT_TRUSTED: Final = re.compile(r"(?i)certificate.verify.failed")
_TRUST: Final = (
    "pass root_certificates, the PEM file of who signed its certificate (for the command and HTTPS the environment "
    "variable SSL_CERT_FILE, for gRPC GRPC_DEFAULT_SSL_ROOTS_FILE_PATH)"
)
_SPOKEN: Final = {"grpc": "gRPC", "grpcs": "gRPC under TLS", "http": "HTTP", "https": "HTTP under TLS"}
_INSTEAD: Final = {"grpc": ("http",), "grpcs": ("grpc", "https"), "http": ("grpc",), "https": ("http",)}
"""What the peer may speak instead, by the scheme of the URL."""
_MOST_ODD: Final = 0.1
"""In a message, at most so many of the characters are none that people write: it may quote an article."""
_MARKUP: Final = re.compile(r"(?s)<(style|script)\b.*?</\1>|<[^<>]*>?")

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
    message = _readable(_ENSEMBLE.sub("", message))
    rule = next((rule for rule in _RULES if code in rule.codes and re.search(rule.pattern, message)), None)
    if rule is None:
        error: type[ServerError] = UnexpectedResponseError
        words = f"{server} answered with status {code}: {message}"
    elif rule is _NO_REASON and code == "UNAVAILABLE" and server and retry_after_s is None and _BROKEN.search(message):
        return unreachable(server, message)  # the library says so, nobody has answered
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
        return f"{server} was reached, but cannot answer now ({message}){end}"
    if issubclass(error, RequestRejectedError):
        return f"{server} refused the request: {message}{end}"
    return f"{server} did not answer: {message}{end}"


def _readable(text: str) -> str:
    """What a peer said, on one line: the words of a page, and nothing of what is no text."""
    text = _MARKUP.sub(" ", text) if text.lstrip().startswith("<") else text
    words = " ".join(text.split()).rstrip("\ufffd")
    clean = "".join(char for char in words if unicodedata.category(char) not in ("Cc", "Co", "Cn"))
    if len(words) - len(clean) + clean.count("\ufffd") > _MOST_ODD * len(words):
        return "what it sent is no text"
    return clean or "it gave no reason"


def is_busy(reason: str) -> bool:
    """Whether a server says that it has no room for a request now."""
    return re.search(_BUSY, reason) is not None


def no_answer(server: str, timeout_s: float) -> RequestTimeoutError:
    """The error for a request whose time is up."""
    return RequestTimeoutError(_no_answer(server, timeout_s))


def _no_answer(server: str, timeout_s: float) -> str:
    return f"no answer from {server} within {timeout_s:.3g} s; raise timeout_s, or ask for less"


def unreachable(server: str, reason: object) -> ServerError:
    """The error for a connection that could not be made, broke, or was made to another kind of server.

    Args:
        server: The server's URL.
        reason: What the library said; no bytes that the peer sent.
    """
    words = _CONNECTING.sub("", _readable(str(reason)))
    if _OTHER_PROTOCOL.search(words):
        return wrong_protocol(server)
    if _NOT_TRUSTED.search(words):
        return ServerUnavailableError(f"cannot trust {server} ({words}); {_TRUST}")
    return ServerUnavailableError(f"cannot reach {server} ({words}); {_START}")


def wrong_protocol(server: str) -> WrongServerError:
    """The error for a peer that answered in another protocol than that of the URL, with what to try instead."""
    url = parse_url(server)
    others = [f"{other}://{url.address}" for other in _INSTEAD[url.scheme]]
    if url.port != DEFAULT_PORTS[url.scheme]:
        others.append(str(replace(url, port=DEFAULT_PORTS[url.scheme])))
    return WrongServerError(
        f"what listens at {url.address} does not speak {_SPOKEN[url.scheme]}; try {' or '.join(others)} (a server has "
        "HTTP on port 8000 and gRPC on 8001, unless it was told otherwise)"
    )


def read_seconds(value: str | None) -> float | None:
    """The seconds of a ``Retry-After``; None where there are none, or a date stands there."""
    return float(value) if value is not None and value.isascii() and value.isdigit() else None
