"""Which kinds of content are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .errors import FetchError

HTML: Final = "text/html"
TEXT: Final = "text/plain"
PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
KINDS: Final = (HTML, "application/xhtml+xml", TEXT, PDF, DOCX)
_UNTOLD: Final = ("", "application/octet-stream", "binary/octet-stream")
"""A server that says nothing of its content: the first bytes do then."""
HEAD_BYTES: Final = 1024
"""So many of the first bytes are looked at."""
ACCEPTED: Final = f"{HTML}, application/xhtml+xml, {TEXT};q=0.9, {PDF};q=0.9, {DOCX};q=0.9, */*;q=0.1"
_MARKS: Final[Mapping[bytes, str]] = {b"%PDF-": PDF, b"PK\x03\x04": DOCX}
_MARKUP: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|!--|\?xml|article|meta|title)", re.IGNORECASE
)
_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_CHARSET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}", re.ASCII)


def named_kind(header: str) -> str:
    """The kind that a server names, in small letters; empty where it says nothing.

    Args:
        header: The header ``Content-Type``.

    Raises:
        FetchError: Such content is not read.
    """
    kind = header.partition(";")[0].strip().lower()
    if kind in _UNTOLD:
        return ""
    if kind not in KINDS:
        raise _not_read(f"'{kind[:60]}'")
    return kind


def kind_of(head: bytes) -> str:
    """The kind of content whose server says nothing of it, by its first bytes.

    Raises:
        FetchError: It is none that is read.
    """
    head = head[:HEAD_BYTES]
    for mark, kind in _MARKS.items():
        if head.startswith(mark):
            return kind
    if _MARKUP.match(head):
        return HTML
    if not head.strip() or _NO_TEXT.search(head):
        raise _not_read("none of them by its first bytes")
    return TEXT


def charset_of(header: str) -> str | None:
    """The charset that a header ``Content-Type`` names, where it is a name at all."""
    for part in header.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            found = value.strip().strip("\"'")
            return found if _CHARSET.fullmatch(found) else None
    return None


def _not_read(what: str) -> FetchError:
    return FetchError(
        f"a page is HTML, plain text, PDF or DOCX, and this one is {what}: paste the text instead, or give the link of "
        "the article itself"
    )
