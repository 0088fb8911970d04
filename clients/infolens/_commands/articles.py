"""Articles from files: UTF-8 text, with a title on top where there is one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from infolens.contract import MAX_ARTICLE_BYTES
from infolens.errors import InvalidArticleError
from infolens.types import Article

MAX_TITLE_CHARS: Final = 200
STDIN: Final = "-"


def read_article(name: str, title: str | None = None) -> Article:
    """Read the article of a file, or of the standard input when ``name`` is ``-``.

    Raises:
        InvalidArticleError: The file cannot be read, is not UTF-8, or holds no article.
    """
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read()
        else:
            with Path(name).open("rb") as file:
                # A little more than is allowed, so that a huge file is refused without being read to its end.
                data = file.read(MAX_ARTICLE_BYTES + 16)
    except OSError as error:
        raise InvalidArticleError(f"the file cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_ARTICLE_BYTES + 3:
        raise InvalidArticleError(
            f"an article may have at most {MAX_ARTICLE_BYTES:,} bytes, but this file is larger; "
            "give each article a file of its own"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArticleError(
            f"an article must be UTF-8, but byte {error.start} ({data[error.start]:#04x}) is not; "
            "convert it, for example with iconv -f latin1 -t utf-8"
        ) from error
    return parse_article(text, title)


def parse_article(text: str, title: str | None = None) -> Article:
    """Split a text into title and body: a short first line that a blank line follows is the title.

    Args:
        text: The whole text.
        title: What to take for the title instead of that first line.

    Raises:
        InvalidArticleError: There is no article.
    """
    lines = text.lstrip().splitlines()
    if len(lines) > 2 and len(lines[0]) <= MAX_TITLE_CHARS and not lines[1].strip():
        body = "\n".join(lines[2:]).strip()
        if body:
            return Article(text=body, title=lines[0].strip() if title is None else title)
    return Article(text=text, title=title)
