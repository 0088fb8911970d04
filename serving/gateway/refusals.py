"""Why the door refuses a request, and how each protocol says it: one table for HTTP and gRPC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import grpc


class Refusal(Enum):
    """A kind of refusal; `CODES` has what each protocol calls it."""

    INVALID = "invalid"
    """The request breaks a rule, and will as often as it is sent."""
    NOT_FOUND = "not_found"
    """There is no such model, version or path."""
    CONFLICT = "conflict"
    """It contradicts what was done before, and will as often as it is sent."""
    TOO_LARGE = "too_large"
    """The request is larger than a limit."""
    BUSY = "busy"
    """It cannot be served in time; later it can."""
    AWAY = "away"
    """The server behind the door is not there, or cannot answer now."""
    FAILED = "failed"
    """A model failed on it; another attempt may succeed."""
    LATE = "late"
    """Its time was up."""
    UNAUTHENTICATED = "unauthenticated"
    """It has no key, or none that is valid."""
    FORBIDDEN = "forbidden"
    """Its key does not open this, or nothing does."""
    LIMITED = "limited"
    """Its key has had its share; later it has one again."""
    UNIMPLEMENTED = "unimplemented"
    """The door does not offer this."""
    CANCELLED = "cancelled"
    """The caller has left; nobody reads the answer."""
    TOO_SLOW = "too_slow"
    """Its bytes came too slowly."""
    HEADERS = "headers"
    """Its headers are too long, or too many."""
    METHOD = "method"
    """The path is known, but not with this method."""
    ENCODING = "encoding"
    """Its body is encoded in a way that the door does not read."""


@dataclass(frozen=True, kw_only=True)
class Codes:
    """The codes of one kind of refusal."""

    http: int
    grpc: grpc.StatusCode


CODES: Final[Mapping[Refusal, Codes]] = {
    Refusal.INVALID: Codes(http=400, grpc=grpc.StatusCode.INVALID_ARGUMENT),
    Refusal.NOT_FOUND: Codes(http=404, grpc=grpc.StatusCode.NOT_FOUND),
    Refusal.CONFLICT: Codes(http=409, grpc=grpc.StatusCode.ABORTED),
    Refusal.TOO_LARGE: Codes(http=413, grpc=grpc.StatusCode.INVALID_ARGUMENT),
    # The words of a busy server contain "server is busy": by them the SDK knows an overload from a server that is away.
    Refusal.BUSY: Codes(http=429, grpc=grpc.StatusCode.UNAVAILABLE),
    Refusal.AWAY: Codes(http=503, grpc=grpc.StatusCode.UNAVAILABLE),
    Refusal.FAILED: Codes(http=503, grpc=grpc.StatusCode.INTERNAL),
    Refusal.LATE: Codes(http=504, grpc=grpc.StatusCode.DEADLINE_EXCEEDED),
    Refusal.UNAUTHENTICATED: Codes(http=401, grpc=grpc.StatusCode.UNAUTHENTICATED),
    # Its words are never those of a busy server: that refuses everybody, this one key.
    Refusal.LIMITED: Codes(http=429, grpc=grpc.StatusCode.RESOURCE_EXHAUSTED),
    Refusal.FORBIDDEN: Codes(http=403, grpc=grpc.StatusCode.PERMISSION_DENIED),
    Refusal.UNIMPLEMENTED: Codes(http=404, grpc=grpc.StatusCode.UNIMPLEMENTED),
    Refusal.CANCELLED: Codes(http=499, grpc=grpc.StatusCode.CANCELLED),
    Refusal.TOO_SLOW: Codes(http=408, grpc=grpc.StatusCode.DEADLINE_EXCEEDED),
    Refusal.HEADERS: Codes(http=431, grpc=grpc.StatusCode.INVALID_ARGUMENT),
    Refusal.METHOD: Codes(http=405, grpc=grpc.StatusCode.UNIMPLEMENTED),
    Refusal.ENCODING: Codes(http=415, grpc=grpc.StatusCode.UNIMPLEMENTED),
}
"""What HTTP and gRPC call each kind."""


_MAX_FIELDS: Final = 20
"""No more broken rules are told at a time."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """What is wrong with one field of a JSON document."""

    pointer: str
    """Where it is: a JSON pointer (RFC 6901), empty for the document itself."""
    words: str


class RefusedError(Exception):
    """A request that gets no answer but this one.

    Attributes:
        kind: Which rule of `CODES` it falls under.
        words: What the caller reads: the rule, the value and the way out.
        retry_after_s: When to try again, in seconds from now; None where nothing is known, or where it is no use.
        fields: What is wrong with which fields, where that is known.
    """

    def __init__(
        self,
        kind: Refusal,
        words: str,
        *,
        retry_after_s: float | None = None,
        fields: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.retry_after_s = retry_after_s
        self.fields = tuple(fields)

    @property
    def http_status(self) -> int:
        """The number that HTTP answers with."""
        return CODES[self.kind].http

    @property
    def grpc_code(self) -> grpc.StatusCode:
        """The status that gRPC answers with."""
        return CODES[self.kind].grpc

    @property
    def headers(self) -> dict[str, str]:
        """What goes beside it: headers of HTTP, trailing metadata of gRPC."""
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.kind is Refusal.UNAUTHENTICATED:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def invalid(words: str) -> RefusedError:
    """The refusal of a request that breaks a rule."""
    return RefusedError(Refusal.INVALID, words)


def expired() -> RefusedError:
    """The refusal of a request whose time was up before its turn came."""
    return RefusedError(Refusal.LATE, "Request timeout expired before the request could run: allow more time")


def invalid_fields(fields: Sequence[FieldError]) -> RefusedError:
    """The refusal of a document whose fields break rules; at least one of them."""
    words = "; ".join(f"{one.pointer or 'the document'}: {one.words}" for one in fields[:3])
    more = f"; and {len(fields) - 3} more" if len(fields) > 3 else ""
    return RefusedError(Refusal.INVALID, words + more, fields=fields[:_MAX_FIELDS])
