"""What a kept report is."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ID_CHARACTERS: Final = 22
MAX_DOCUMENT_BYTES: Final = 2**20
"""A report as JSON has no more bytes of UTF-8."""
MAX_REPORTS: Final = 100_000
"""No more are kept at the same time."""
_ID_BYTES: Final = 16
_ID: Final = re.compile(rf"[\w-]{{{ID_CHARACTERS}}}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptReport:
    """One report. All times are seconds since 1970."""

    id: str = field(repr=False)
    """128 random bits: whoever has them may read it."""
    made_s: int
    until_s: int
    """From then on nobody can read it."""
    key: str
    """The name of the key that it was made with; empty where none was needed."""
    document: dict[str, Any] = field(repr=False)
    """What is kept of the article, and its answer."""


def make_id() -> str:
    """A new id."""
    return secrets.token_urlsafe(_ID_BYTES)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def instant(seconds: int) -> str:
    """A time as JSON has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
