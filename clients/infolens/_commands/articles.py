"""Articles from files: text, with a title on top where there is one."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Final

from infolens.contract import MAX_ARTICLE_BYTES
from infolens.errors import InvalidArticleError
from infolens.types import Article

from .decoding import decode
from .kinds import check_bytes, check_words

MAX_TITLE_CHARS: Final = 200
_MAX_FILE_BYTES: Final = 4 * MAX_ARTICLE_BYTES + 4
"""An article of the largest size in UTF-32 with its mark: more than any file needs."""
STDIN: Final = "-"


def read_article(name: str, title: str | None = None) -> Article:
    """Read the article of a file, or of the standard input when ``name`` is ``-``.

    Raises:
        InvalidArticleError: The file cannot be read, is in an encoding that cannot be told, is no plain text, or holds
            no article.
    """
    if re.match(r"(?i)https?://|ftp://", name):
        raise InvalidArticleError(
            f"a FILE is on this machine, but this is an address; fetch it: curl -sL {shlex.quote(name)} | "
            "infolens analyze - (of a web page extract the text first)"
        )
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(_MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                # No more than that: a huge file is refused without being read to its end.
                data = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InvalidArticleError(_unreadable(name, error)) from error
    check_bytes(data)
    if len(data) > _MAX_FILE_BYTES:
        check_words(data.decode(errors="ignore"))
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
    lines = text.lstrip().splitlines()
    if len(lines) > 2 and not lines[1].strip():
        first, body = lines[0].strip(), "\n".join(lines[2:]).strip()
        if body and (_is_title(first) if title is None else first == title.strip()):
            return Article(text=body, title=first)
    return Article(text=text, title=title)


def _is_title(line: str) -> bool:
    return len(line) <= MAX_TITLE_CHARS and not line.rstrip("\"'\u201d\u2019)]").endswith(".")
