"""An article, which `infolens.types` exports."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from infolens.contract import MAX_ARTICLE_BYTES
from infolens.errors import InvalidArticleError

MAX_ID_CHARS: Final = 128
_FILLERS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """A news article.

    Raises:
        InvalidArticleError: The text is blank, title and text together are larger than `MAX_ARTICLE_BYTES`, a part is
            no text that UTF-8 can carry, or the id is too long.
    """

    text: str
    """The body. Line breaks are welcome; NUL and other control characters count as white space."""
    title: str | None = None
    """The headline, where there is one: the category and the verdict are better with it."""
    id: str | None = None
    """The caller's own name for it, of 1 to 128 characters: `Client.analyze_batch` gives it back with the answer."""

    def __post_init__(self) -> None:
        _check_id(self.id)
        size_bytes = _utf8_bytes("text", self.text)
        if self.title is not None:
            size_bytes += _utf8_bytes("title", self.title)
        if is_blank(self.text):
            raise InvalidArticleError(
                f"an article needs text, but this one has {len(self.text)} characters and all of them are blank; "
                "pass the body of the article as its text"
            )
        if size_bytes > MAX_ARTICLE_BYTES:
            raise InvalidArticleError(
                f"an article may have at most {MAX_ARTICLE_BYTES:,} bytes of UTF-8, title included, but this one has "
                f"{size_bytes:,}; shorten it: the models read only its beginning"
            )


def _check_id(value: object) -> None:
    if value is None:
        return
    _utf8_bytes("id", value)
    if not (isinstance(value, str) and 1 <= len(value) <= MAX_ID_CHARS):
        raise InvalidArticleError(
            f"an article's id has 1 to {MAX_ID_CHARS} characters, but this one has {len(str(value))}; "
            "leave it out, or use a shorter one"
        )


def _utf8_bytes(name: str, value: object) -> int:
    if not isinstance(value, str):
        raise InvalidArticleError(
            f"an article's {name} is a str, not {type(value).__name__}; decode bytes first, as in data.decode('utf-8')"
        )
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidArticleError(
            f"an article's {name} must be encodable as UTF-8, but character {error.start} is the lone surrogate "
            f"{value[error.start]!a}; decode its source with the right encoding"
        ) from error


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, control and format characters, marks without a letter."""
    # As the server's tokenizer has it: letters, numbers, punctuation and symbols show something, but for these.
    return not any(unicodedata.category(char)[0] in "LNPS" and char not in _FILLERS for char in text)
