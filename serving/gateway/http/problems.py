"""Refusals as problem documents (RFC 9457), and what each kind of problem is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from infolens.problems import CONTENT_TYPE, KINDS, TYPE_PREFIX, Fault, Problem
from serving.gateway.refusals import Refusal, RefusedError

__all__ = ["ADVICE", "CONTENT_TYPE", "explanation", "problem"]

ADVICE: Final[Mapping[Refusal, str]] = {
    Refusal.INVALID: "Sent again, it will be refused again: `errors` names the fields, and what each may be.",
    Refusal.NOT_FOUND: "The paths are those of /openapi.json; the models are those of /v1/models.",
    Refusal.CONFLICT: "Sent again, it will be refused again: an Idempotency-Key is for one request and its "
    "repetitions, and an audit is answered once.",
    Refusal.TOO_LARGE: "/v1/models has the limits. Send fewer or shorter articles, many of them to /v1/analyze/batch.",
    Refusal.BUSY: "Nothing was computed. Send it again after `retry_after_ms`, or many articles to /v1/analyze/batch, "
    "which waits for its turn.",
    Refusal.AWAY: "The server heals by itself: send it again after `retry_after_ms`. /readyz says what is not there.",
    Refusal.FAILED: "Another attempt may succeed. The server's log has the reason under the id in `instance`.",
    Refusal.LATE: "There was no answer within `deadline_ms`: allow more time.",
    Refusal.UNAUTHENTICATED: "Send a key as the header `Authorization: Bearer KEY`; whoever runs the server makes one.",
    Refusal.LIMITED: "Nothing was computed. Send it again after `retry_after_ms`; whoever runs the server can allow a "
    "key more.",
    Refusal.FORBIDDEN: "Ask whoever runs the server for a key with the role that this needs.",
    Refusal.UNIMPLEMENTED: "The server offers what /openapi.json lists, and KServe v2.",
    Refusal.CANCELLED: "Nobody reads this answer; it stands in the log.",
    Refusal.TOO_SLOW: "Send the body faster, or in parts.",
    Refusal.HEADERS: "Send fewer and shorter headers.",
    Refusal.METHOD: "The header Allow has the methods that the path takes.",
    Refusal.ENCODING: "Send the body as it is, or as gzip or deflate.",
}
"""What to do about it."""
_ENSEMBLES: Final = re.compile(r"^(in ensemble '[^']*', )+")
"""How Triton begins what a step of an ensemble says: the steps are no matter of whoever asks ``/v1``."""


def problem(refused: RefusedError, request_id: str = "", prefix: str = "") -> dict[str, Any]:
    """The problem document of a refusal.

    Args:
        refused: The refusal.
        request_id: The id of the request, under which the log has it too.
        prefix: The path under which a proxy has put this server.
    """
    document = Problem(
        kind=refused.kind.value,
        detail=_ENSEMBLES.sub("", refused.words),
        instance=request_id or None,
        errors=tuple(Fault(pointer=one.pointer, detail=one.words) for one in refused.fields),
        retry_after_ms=None if refused.retry_after_s is None else math.ceil(1e3 * refused.retry_after_s),
    ).to_dict()
    document["type"] = f"{prefix}{document['type']}"
    return document


def explanation(kind: str, prefix: str = "") -> dict[str, Any]:
    """What a kind of problem is, for people.

    Raises:
        RefusedError: There is no such kind.
    """
    try:
        found = Refusal(kind)
    except ValueError:
        kinds = ", ".join(one.value for one in Refusal)
        raise RefusedError(Refusal.NOT_FOUND, f"there is no problem '{kind[:40]}': there are {kinds}") from None
    known = KINDS[found.value]
    return {
        "type": f"{prefix}{TYPE_PREFIX}{found.value}",
        "title": known.title,
        "status": known.status,
        "advice": ADVICE[found],
    }
