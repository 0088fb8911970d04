"""The door's log: one JSON line for each event, without a word of what was asked or answered.

A line costs about 20 µs, which a request of milliseconds does not feel: so every inference has one, unless
``log_requests`` is off, and of all other calls (health is asked often) those that were refused.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import sys
import traceback
from typing import Any, BinaryIO, Final

import structlog

from serving.keys.records import PREFIX

_ID: Final = re.compile(rf"(?!.*{PREFIX}[\w-]{{43}})[\w.:/+=@-]{{1,64}}", re.ASCII)
"""What a caller's request id may look like; any other may be text that belongs in no log, or holds a key."""


class _Forgiving:
    """A file whose failures (a full disk, a reader that is gone) are nobody's failure but its own."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, content: bytes) -> None:
        """Write, if it can be."""
        with contextlib.suppress(OSError):
            self._file.write(content)

    def flush(self) -> None:
        """Flush, if it can be."""
        with contextlib.suppress(OSError):
            self._file.flush()


def open_log(file: BinaryIO | None = None) -> Any:
    """A logger that writes JSON lines.

    Args:
        file: Where they go; None for standard error.
    """
    return structlog.wrap_logger(
        structlog.BytesLogger(_Forgiving(file or sys.stderr.buffer)),  # type: ignore[arg-type]
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    ).bind()


def request_id(given: str = "") -> str:
    """The caller's own id of a request where it is fit for a log, else a new one."""
    return given if _ID.fullmatch(given) else secrets.token_hex(8)


def describe(error: BaseException) -> dict[str, Any]:
    """Fields that say which error came up where; not in which words, which may quote a request."""
    places = [f"{one.filename}:{one.lineno} {one.name}" for one in traceback.extract_tb(error.__traceback__)]
    return {"error": type(error).__name__, "places": places[-8:]}


def _dump(event: Any, **_: Any) -> bytes:
    return json.dumps(event, default=repr, separators=(",", ":")).encode()


class LibraryLog(logging.Handler):
    """Passes on what libraries log: where and what kind, but no argument, which may be what a caller sent."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        words = record.msg if isinstance(record.msg, str) and record.args else ""
        fields = describe(error) if error is not None else {}
        self._log.warning("library", logger=record.name, words=words, severity=record.levelname, **fields)


def log_libraries(log: Any, level: int) -> None:
    """Have what the libraries log from a level on written to ``log``, and nowhere else."""
    root = logging.getLogger()
    root.handlers = [LibraryLog(log)]
    root.setLevel(level)
