"""Articles from files: text, with a title on top where there is one."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infolens.contract import MAX_ARTICLE_BYTES
from infolens.errors import InvalidArticleError
from infolens.types import Article

from .decoding import decode
from .kinds import MAX_TITLE_CHARS, _is_json, _is_table, check_bytes, check_words
from .pages import MAX_DOCUMENT_BYTES, Page, is_document

Document = Callable[[bytes, InvalidArticleError], Page]

_MAX_FILE_BYTES: Final = 4 * MAX_ARTICLE_BYTES + 4
"""An article of the largest size in UTF-32 with its mark: more than any file needs."""
_LOOKED_AT_BYTES: Final = 65_536
STDIN: Final = "-"


def read_article(name: str, title: str | None = None, *, document: Document | None = None) -> Article | Page:
    """Read the article of a file, or of the standard input when ``name`` is ``-``.

    Args:
        name: The file's name.
        title: The title, where the caller gave one.
        document: What to make of a PDF, a Word document or HTML, from its bytes and the reason why it is no article;
            without it they are refused.

    Raises:
        InvalidArticleError: The file cannot be read, is in an encoding that cannot be told, is no plain text, or holds
            no article.
    """
    if name.lower().startswith("ftp://"):
        raise InvalidArticleError(
            f"a link begins with http:// or https://, but this one is of FTP; fetch it: curl -sL {shlex.quote(name)} | "
            "infolens analyze -"
        )
    data = _read(name)
    try:
        return _parse(data, title)
    except InvalidArticleError as error:
        if document is not None and is_document(data):
            if len(data) > MAX_DOCUMENT_BYTES:
                raise InvalidArticleError(
                    f"a document may have at most {MAX_DOCUMENT_BYTES:,} bytes, but this file is larger; {error}"
                ) from error
            return document(data, error)
        if _may_be_table(data):
            raise InvalidArticleError(f"{error}; a table of articles: infolens analyze --in FILE --out FILE") from error
        raise


def _may_be_table(data: bytes) -> bool:
    start = data[:_LOOKED_AT_BYTES].decode(errors="ignore").lstrip("\ufeff \t\r\n")
    return (data.startswith(b"PK\x03\x04") and b"xl/" in data) or _is_json(start) or _is_table(start)


def _read(name: str) -> bytes:
    """The bytes of a file: no more than the largest one has, so that a huge file is not read to its end."""
    try:
        if name == STDIN:
            return sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1)
        with Path(name).open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidArticleError(_unreadable(name, error)) from error


def _parse(data: bytes, title: str | None) -> Article:
    check_bytes(data)
    if len(data) > _MAX_FILE_BYTES:
        check_words(data[:_MAX_FILE_BYTES].decode(errors="ignore"))
        raise InvalidArticleError(
            f"an article may have at most {MAX_ARTICLE_BYTES:,} bytes, but this file is larger; "
            "give each article a file of its own"
        )
    text = decode(data)
    check_words(text)
    return parse_article(text, title)


def _unreadable(name: str, error: Exception) -> str:
    if isinstance(error, IsADirectoryError):
        return f"a FILE is one file, but this is a folder; name the files in it: {Path(name) / '*.txt'}"
    if isinstance(error, FileNotFoundError) and re.search(r"[*?[]", name):
        return "no file has a name of this pattern; `ls` shows which there are"
    return f"the file cannot be read: {getattr(error, 'strerror', None) or error}"


def parse_article(text: str, title: str | None = None) -> Article:
    """Split a text into title and body: a short first line that a blank line follows is the title.

    A line that ends with a full stop is a sentence of the article, and no title.

    Args:
        text: The whole text.
        title: What the title is; then the whole text is the body, but for a first line that says the same.

    Raises:
        InvalidArticleError: There is no article.
    """
    found, body = split_title(text, title)
    return Article(text=body, title=found)


def split_title(text: str, title: str | None = None) -> tuple[str | None, str]:
    """The title and the body of a text, as `parse_article` has them; the text is as long as it likes."""
    lines = text.lstrip().splitlines()
    if len(lines) > 2 and not lines[1].strip():
        first, body = lines[0].strip(), "\n".join(lines[2:]).strip()
        if body and (_is_title(first) if title is None else first == title.strip()):
            return first, body
    return title, text


def _is_title(line: str) -> bool:
    return len(line) <= MAX_TITLE_CHARS and not line.rstrip("\"'\u201d\u2019)]").endswith(".")
