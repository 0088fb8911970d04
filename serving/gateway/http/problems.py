"""Refusals as problem documents (RFC 9457), and what each kind of problem is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from serving.gateway.refusals import CODES, Refusal, RefusedError

MEDIA_TYPE: Final = "application/problem+json"
TYPES: Final = "/v1/problems/"
"""The type of a problem is a path of this server, where a person finds what it means."""
TITLES: Final[Mapping[Refusal, str]] = {
    Refusal.INVALID: "The request breaks a rule",
    Refusal.NOT_FOUND: "There is nothing here",
    Refusal.TOO_LARGE: "The request is too large",
    Refusal.BUSY: "The server is busy",
    Refusal.AWAY: "The models are away",
    Refusal.FAILED: "A model failed",
    Refusal.LATE: "The time was up",
    Refusal.FORBIDDEN: "The key does not open this",
    Refusal.UNIMPLEMENTED: "This is not offered",
    Refusal.CANCELLED: "The caller has left",
    Refusal.TOO_SLOW: "The body came too slowly",
    Refusal.HEADERS: "The headers are too large",
    Refusal.METHOD: "The path does not take this method",
    Refusal.ENCODING: "The body is encoded in a way that is not read",
}
"""What is the same in all problems of a kind."""
ADVICE: Final[Mapping[Refusal, str]] = {
    Refusal.INVALID: "Sent again, it will be refused again: `errors` names the fields, and what each may be.",
    Refusal.NOT_FOUND: "The paths are those of /openapi.json; the models are those of /v1/models.",
    Refusal.TOO_LARGE: "/v1/models has the limits. Send fewer or shorter articles, many of them to /v1/analyze/batch.",
    Refusal.BUSY: "Nothing was computed. Send it again after `retry_after_ms`, or many articles to /v1/analyze/batch, "
    "which waits for its turn.",
    Refusal.AWAY: "The server heals by itself: send it again after `retry_after_ms`. /readyz says what is not there.",
    Refusal.FAILED: "Another attempt may succeed. The server's log has the reason under the id in `instance`.",
    Refusal.LATE: "There was no answer within `deadline_ms`: allow more time.",
    Refusal.FORBIDDEN: "Ask whoever runs the server for a key with the role that this needs.",
    Refusal.UNIMPLEMENTED: "The server offers what /openapi.json lists, and KServe v2.",
    Refusal.CANCELLED: "Nobody reads this answer; it stands in the log.",
    Refusal.TOO_SLOW: "Send the body faster, or in parts.",
    Refusal.HEADERS: "Send fewer and shorter headers.",
    Refusal.METHOD: "The header Allow has the methods that the path takes.",
    Refusal.ENCODING: "Send the body as it is, or as gzip or deflate.",
}
"""What to do about it."""


def problem(refused: RefusedError, request_id: str = "") -> dict[str, Any]:
    """The problem document of a refusal.

    Args:
        refused: The refusal.
        request_id: The id of the request, under which the log has it too.
    """
    document: dict[str, Any] = {
        "type": f"{TYPES}{refused.kind.value}",
        "title": TITLES[refused.kind],
        "status": refused.http_status,
        "detail": refused.words,
    }
    if request_id:
        document["instance"] = request_id
    if refused.fields:
        document["errors"] = [{"pointer": one.pointer, "detail": one.words} for one in refused.fields]
    if refused.retry_after_s is not None:
        document["retry_after_ms"] = round(1e3 * refused.retry_after_s)
    return document


def explanation(kind: str) -> dict[str, Any]:
    """What a kind of problem is, for people.

    Raises:
        RefusedError: There is no such kind.
    """
    try:
        found = Refusal(kind)
    except ValueError:
        known = ", ".join(one.value for one in Refusal)
        raise RefusedError(Refusal.NOT_FOUND, f"there is no problem '{kind[:40]}': there are {known}") from None
    return {
        "type": f"{TYPES}{found.value}",
        "title": TITLES[found],
        "status": CODES[found].http,
        "advice": ADVICE[found],
    }
