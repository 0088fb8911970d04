"""What a row of an export holds: one rating that counts, with the answer that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

Row = Mapping[str, Any]


class Kind(Enum):
    """What a cell can be; all of them can be empty."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"


COLUMNS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "prediction": Kind.TEXT,
        "made": Kind.TEXT,
        "task": Kind.TEXT,
        "model": Kind.TEXT,
        "version": Kind.TEXT,
        "revision": Kind.TEXT,
        "label": Kind.TEXT,
        "signal": Kind.TEXT,
        "probability": Kind.NUMBER,
        "output_text": Kind.TEXT,
        "stars": Kind.INTEGER,
        "better": Kind.TEXT,
        "right": Kind.FLAG,
        "right_label": Kind.TEXT,
        "rater": Kind.TEXT,
        "note": Kind.TEXT,
        "consent": Kind.FLAG,
        "audit": Kind.FLAG,
        "rated": Kind.TEXT,
        "key": Kind.TEXT,
        "words": Kind.INTEGER,
        "text_sha256": Kind.TEXT,
        "title": Kind.TEXT,
        "text": Kind.TEXT,
    }
)
"""The columns in their order. Times are ISO 8601 in UTC."""
