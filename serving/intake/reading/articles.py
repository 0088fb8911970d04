"""One article out of a file: its contents decide what it is; its name and type are hints where they do not."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from infolens import Article, InvalidArticleError
from infolens.contract import MAX_ARTICLE_BYTES
from infolens.files import kind_of_bytes, kind_of_words
from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError

from .charset import decode
from .pages import read_page
from .pdf import read_pdf
from .plain import read_plain
from .text import cut
from .word import read_word
from .zips import open_zip

_READ: Final = "text, HTML, DOCX and PDF are read"
_PDF: Final = b"%PDF-"
_PDF_WITHIN_BYTES: Final = 1024
"""Readers of PDF look for its mark so far (PDF 1.7, implementation note 13)."""
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_HTML_TYPE: Final = re.compile(r"(?i)\s*(text/html|application/xhtml\+xml)\b")
_HTML_NAME: Final = re.compile(r"(?i)\.x?html?$")
_LOOKED_AT_BYTES: Final = 65_536
_OFFICE: Final = (
    ("xl/", "an Excel file", "send a table of articles to POST /v1/tables/read"),
    ("ppt/", "a PowerPoint file", "save the words in it as plain text (UTF-8)"),
)


def read_article(data: bytes, *, name: str = "", url: str = "", content_type: str = "") -> ArticleDocument:
    """Read the article in a file.

    Args:
        data: The file.
        name: What it is called; a hint.
        url: Where it was fetched; empty for a file.
        content_type: What its sender says that it is; a hint, and its charset.

    Raises:
        ReadError: It is of no kind that is read, is broken, or holds no article.
    """
    found = _read(data, name, url, content_type)
    text, shortened = cut(found.text, found.title)
    notes = found.notes
    if shortened:
        notes += (f"The text was cut: an article has at most {MAX_ARTICLE_BYTES:,} bytes, and the rest was left out.",)
    try:
        Article(text=text, title=found.title)
    except InvalidArticleError as error:
        raise ReadError(str(error)) from None
    return dataclasses.replace(found, text=text, notes=notes)


def _read(data: bytes, name: str, url: str, content_type: str) -> ArticleDocument:
    if not data.strip(b" \t\r\n\0"):
        raise ReadError("this file is empty: send one with an article in it")
    if data.startswith(_ZIP):
        return _read_zip(data)
    if data.lstrip()[:5] == _PDF:
        return read_pdf(data)
    if (kind := kind_of_bytes(data[:_LOOKED_AT_BYTES])) is not None:
        raise ReadError(f"{_READ}, and this is {kind.what}: {kind.in_words}")
    if _is_html(data, name, content_type):
        return read_page(data, url=url, header=content_type)
    if _PDF in data[:_PDF_WITHIN_BYTES]:
        return read_pdf(data)
    return read_plain(data, content_type)


def _is_html(data: bytes, name: str, content_type: str) -> bool:
    start = decode(data[:_LOOKED_AT_BYTES], header=content_type, markup=True)
    kind = kind_of_words(start)
    told = _HTML_TYPE.match(content_type) is not None or _HTML_NAME.search(name) is not None
    if kind is None:
        return told and re.search(r"<[a-zA-Z!/?]", start) is not None
    if kind.name == "markup":
        return told or not start.lstrip("\ufeff \t\r\n").startswith("<?xml")
    return kind.name == "html"


def _read_zip(data: bytes) -> ArticleDocument:
    with open_zip(data) as archive:
        names = archive.namelist()
        if "word/document.xml" in names or any(name.startswith("word/") for name in names):
            return read_word(data, archive)
    if (kind := kind_of_bytes(data[:_LOOKED_AT_BYTES])) is not None and kind.what.startswith(("an e-book", "an Open")):
        raise ReadError(f"{_READ}, and this is {kind.what}: {kind.in_words}")
    for start, what, way_out in _OFFICE:
        if any(name.startswith(start) for name in names):
            raise ReadError(f"{_READ}, and this is {what}: {way_out}")
    raise ReadError(f"{_READ}, and this is a ZIP archive: send one of several articles to POST /v1/tables/read")
