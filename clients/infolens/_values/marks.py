"""Byte order marks: what the beginning of a file says of its encoding."""

from __future__ import annotations

import codecs
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def marked(data: bytes) -> str | None:
    """The codec that the mark of a file names, and that takes the mark away; None where there is none."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)
