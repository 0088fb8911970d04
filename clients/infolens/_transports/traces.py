"""Traces: which one a request belongs to, and which one an answer has (W3C Trace Context).

OpenTelemetry is never imported here. A program that uses it has done so itself, and then the span that is active as a
call is made is the parent of what the server does. Of a trace nothing but ``traceparent`` is sent: ``tracestate`` and
baggage may hold what is no business of the server.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from infolens.errors import InvalidSettingError

PARENT: Final = "traceparent"
TRACE_HEADER: Final = "x-trace-id"
"""Where a server says which trace an answer has; over gRPC in the initial metadata."""
_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ID: Final = re.compile(r"[0-9a-f]{32}")
_given: ContextVar[str] = ContextVar("infolens_traceparent", default="")


@contextmanager
def continuing_trace(traceparent: str | None = None) -> Iterator[str]:
    """Have the calls inside the block belong to a trace, in this thread or asyncio task.

    Not needed where OpenTelemetry is in use: its active span is continued anyway. Whether the server keeps spans of a
    request is the server's choice; `Report.trace_id` says whether it has.

    Args:
        traceparent: The header ``traceparent`` of whoever asked for this; None for a trace of its own, which says that
            spans are wanted.

    Yields:
        The ``traceparent`` that is sent.

    Raises:
        InvalidSettingError: It is none.
    """
    if traceparent is None:
        traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    elif not isinstance(traceparent, str) or _FORM.fullmatch(traceparent) is None:
        raise InvalidSettingError(
            f"a traceparent is version, trace, span and flags in lower-case hexadecimal digits, such as "
            f"00-{'0af7651916cd43dd8448eb211c80319c'}-b7ad6b7169203331-01, not {traceparent!r:.80}; leave it out for a "
            "new trace"
        )
    token = _given.set(traceparent)
    try:
        yield traceparent
    finally:
        _given.reset(token)


def trace_headers(own: Mapping[str, str]) -> dict[str, str]:
    """The header by which a request that is made now belongs to its caller's trace; none outside of any.

    Args:
        own: The headers that the caller has sent with every request; a ``traceparent`` among them counts most.
    """
    if any(name.lower() == PARENT for name in own):
        return {}
    if given := _given.get():
        return {PARENT: given}
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return {}
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {PARENT: f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"}


def read_trace_id(headers: Mapping[str, Any]) -> str | None:
    """The trace that a server says an answer has; None where it says nothing, or what cannot be one."""
    for name, value in headers.items():
        if name.lower() == TRACE_HEADER and isinstance(value, str) and _ID.fullmatch(value):
            return value
    return None
