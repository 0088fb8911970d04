"""Bytes to text: by a byte order mark, by what the sender or the page says, by looking."""

from __future__ import annotations

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META: Final = re.compile(rb"""(?i)<(?:meta|\?xml)[^>]{0,400}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""")
_META_BYTES: Final = 4096
_HEADER: Final = re.compile(r"""(?i)charset\s*=\s*["']?\s*([\w.:-]{2,40})""")
_KNOWN: Final = re.compile(
    r"utf-(8|16|16-[lb]e|32|32-[lb]e)|ascii|iso8859-\d+|cp(125\d|437|850|866|932|949|950)|koi8-[ru]|mac-roman|big5(hkscs)?|"
    r"gb2312|gbk|gb18030|euc_(jp|kr)|shift_jis|tis-620"
)
"""Codecs of texts. Python has others of this kind of name, which unpack archives or run through millions of rules."""
_LATIN: Final = frozenset({"ascii", "iso8859-1"})
"""What is called so is Windows-1252 (https://encoding.spec.whatwg.org/#names-and-labels)."""
_USUAL: Final = (
    *(f"cp125{number}" for number in range(9)),
    *("iso8859_2", "koi8_r", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "mac_roman"),
)
"""What is looked for in bytes that say nothing."""
_MOST_ACCENTS: Final = 0.1
_LOOKED_AT_BYTES: Final = 65_536


def charset_of(header: str) -> str | None:
    """The codec that a ``Content-Type`` names, if Python knows it as one of texts."""
    found = _HEADER.search(header)
    return _codec(found[1]) if found else None


def decode(data: bytes, *, header: str = "", markup: bool = False) -> str:
    """The text of a file. What cannot be decoded becomes U+FFFD.

    Args:
        data: All of it.
        header: The ``Content-Type`` with which it came.
        markup: Whether to believe its own words (``<meta charset>``) about its encoding.
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    told = charset_of(header)
    if told is None and markup and (meta := _META.search(data[:_META_BYTES])):
        told = _codec(meta[1].decode("ascii", "replace"))
        if told is not None and told.startswith(("utf-16", "utf-32")):
            told = "utf-8"  # it was read as ASCII, so it cannot be what it says
    if told is not None:
        return data.decode(told, "replace")
    if (wide := _unmarked(data)) is not None:
        return data.decode(wide, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(_guess(data), "replace")


def _codec(name: str) -> str | None:
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if not _KNOWN.fullmatch(codec):
        return None
    return "cp1252" if codec in _LATIN else codec


def _unmarked(data: bytes) -> str | None:
    """UTF-16 without a mark, told by the zeros of a text in Latin letters."""
    start = data[:_LOOKED_AT_BYTES]
    pairs = len(start) // 2
    if pairs < 2:
        return None
    odd, even = start[1::2].count(0) / pairs, start[0::2].count(0) / pairs
    if max(odd, even) < 0.6 or min(odd, even) > 0.1:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _guess(data: bytes) -> str:
    """The codec of text that is not UTF-8: Windows-1252 where most letters are ASCII, else by looking."""
    start = data[:_LOOKED_AT_BYTES]
    if sum(byte > 0x7F for byte in start) <= _MOST_ACCENTS * len(start):
        return "cp1252"
    found = from_bytes(start, cp_isolation=list(_USUAL)).best()
    return "cp1252" if found is None else found.encoding
