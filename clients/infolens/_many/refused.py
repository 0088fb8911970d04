"""Refusals of the JSON API as errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infolens._transports.about import read_object
from infolens._transports.failures import read_seconds
from infolens._transports.http import refusal
from infolens.errors import ServerError, UnexpectedResponseError
from infolens.problems import from_problem

NO_SUCH_PATH: Final = frozenset({404, 405, 501})
"""What a server answers that does not know a path of the JSON API."""


def problem_error(
    status: int, body: bytes, headers: Mapping[str, str], *, server: str, timeout_s: float, older: str
) -> ServerError:
    """The error for an answer of the JSON API whose status is not 200.

    Args:
        status: The status.
        body: A problem document, or what a proxy or an older server says.
        headers: Of the answer.
        server: The server's URL, for messages.
        timeout_s: How long was waited, for messages.
        older: What is said where the server does not know the path.
    """
    document = read_object(body)
    if isinstance(document.get("type"), str):
        error = from_problem({"status": status, **document}, server=server, timeout_s=timeout_s)
        if error.retry_after_s is None:
            error.retry_after_s = read_seconds(headers.get("Retry-After"))
        return error
    if status in NO_SUCH_PATH:
        return UnexpectedResponseError(older)
    return refusal(status, body, headers, server=server, timeout_s=timeout_s)
