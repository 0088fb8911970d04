"""PDF: the text that is in it as text, page by page, by pypdf. Scans have none."""

from __future__ import annotations

import io
import logging
import re
from typing import Final

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError

from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError

from .lines import join_pages
from .plain import titled
from .text import MAX_TITLE_CHARS, clean, line

MAX_PAGES: Final = 200
_MAX_CHARS: Final = 2_000_000
"""Beyond this no further page is looked at: an article has 262,144 bytes."""
_ENCRYPTED: Final = "this PDF is locked with a password: save it without one, or copy its text and send that"
_BROKEN: Final = "this PDF is broken: print it anew as PDF, or copy its text and send that"
_SCANS: Final = (
    "no page of this PDF has text that can be read: it may be a scan; have its words recognised first (OCR, as with "
    "ocrmypdf), or copy its text"
)
_NO_TITLE: Final = re.compile(
    r"(?i)(untitled|unknown|microsoft word|powerpoint|slide|print|layout|document ?\d*)\b.{0,60}|.*\.[a-z]{2,5}\d?"
    r"|[\W\d_]*|about:\S*|\w+://\S*"
)
logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it tells of each flaw that it mends


def read_pdf(data: bytes) -> ArticleDocument:
    """The article of a PDF.

    Raises:
        ReadError: It is broken, locked with a password, or has no text.
    """
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ReadError(_ENCRYPTED)
        count = len(reader.pages)
        pages = _pages(reader, min(count, MAX_PAGES))
        information = reader.metadata
        title = line(information.title if information else None, MAX_TITLE_CHARS)
        author = line(information.author if information else None)
    except (ReadError, MemoryError, RecursionError):
        raise
    except DependencyError:
        raise ReadError(_ENCRYPTED) from None
    except (PyPdfError, Exception):  # the library raises whatever it stumbles over
        raise ReadError(_BROKEN) from None
    read = [page for page in pages if page]
    if not read:
        raise ReadError(_SCANS)
    notes: tuple[str, ...] = ()
    if len(read) < len(pages):
        notes = (f"{len(pages) - len(read)} of {len(pages)} pages have no text: they may be scans.",)
    if count > len(pages):
        notes += (f"The first {len(pages)} of {count:,} pages were read.",)
    text = clean(join_pages(read))
    if title is None or _NO_TITLE.fullmatch(title):
        found = titled(text)
        return ArticleDocument(kind="pdf", text=found.text, title=found.title, author=author, notes=notes)
    first, _, rest = text.partition("\n\n")
    text = rest if rest and line(first, MAX_TITLE_CHARS) == title else text
    return ArticleDocument(kind="pdf", text=text, title=title, author=author, notes=notes)


def _pages(reader: PdfReader, count: int) -> list[str]:
    """The texts of the first pages; empty for one without text, or one that is broken by itself."""
    pages: list[str] = []
    failed = size = 0
    for index in range(count):
        try:
            page = clean(reader.pages[index].extract_text())
        except (MemoryError, RecursionError):
            raise
        except Exception:  # one page of many: the others may be whole
            page, failed = "", failed + 1
        pages.append(page)
        size += len(page)
        if size > _MAX_CHARS:
            break
    if pages and failed == len(pages):
        raise ReadError(_BROKEN)
    return pages
