"""Plain text, with a title on top where there is one."""

from __future__ import annotations

import re
from typing import Final

from infolens.files import kind_of_words, split_title
from serving.intake.documents import ArticleDocument
from serving.intake.errors import ReadError

from .charset import decode
from .text import clean

_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_MOST_CONTROLS: Final = 0.05
"""A text has no larger part of characters that are none."""
_ELSEWHERE: Final = {
    "json": "send a table of articles (CSV, XLSX, JSON lines) to POST /v1/tables/read",
    "table": "send a table of articles (CSV, XLSX, JSON lines) to POST /v1/tables/read",
    "markup": "save the text of its article alone",
    "html": "send it as HTML (its name ends with .html)",
}


def read_plain(data: bytes, header: str = "") -> ArticleDocument:
    """The article of a text file.

    Raises:
        ReadError: It is no text, or text that is written for programs.
    """
    text = decode(data, header=header)
    start = text[:65_536]
    if len(_CONTROLS.findall(start)) > _MOST_CONTROLS * len(start):
        raise ReadError(
            "this is neither text nor a kind of document that is read here: send text, HTML, DOCX or PDF; of anything "
            "else, save the words as plain text (UTF-8)"
        )
    if (kind := kind_of_words(text)) is not None:
        raise ReadError(f"this is {kind.what}, not one article: {_ELSEWHERE[kind.name]}")
    return titled(clean(text))


def titled(text: str) -> ArticleDocument:
    """An article out of cleaned text, by the rule that `infolens` has for titles."""
    if not text:
        raise ReadError("there is no text in this file: send one with the words of an article")
    title, body = split_title(text)
    return ArticleDocument(kind="text", text=body, title=title)
