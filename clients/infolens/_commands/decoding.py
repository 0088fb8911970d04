"""Text of a file whose encoding nobody has told: UTF-8, what a byte order mark says, or words that help."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from infolens._values.marks import marked
from infolens.errors import InvalidArticleError

_NO_WORDS: Final = re.compile(
    "[a-z\u00df-\u00ff][\u00c0-\u00de\u0160\u0178\u017d]|\\w[\u201a\u201e\u2026\u2021\u02c6\u2030\u201d\u2022\u2039]\\w"
)
"""What no text has that is read as Windows-1252 and is: capitals and quotation marks within words."""
_NO_TEXT: Final = frozenset({"Cc", "Cn", "Co"})
_MOST_CONTROLS: Final = 0.02
"""In a text, at most so many of the characters are control characters or none that Unicode knows."""
_MOST_ACCENTS: Final = 0.25
"""In a text in a Western encoding, at most so many of the letters are no ASCII; in other encodings most are not."""


def decode(data: bytes) -> str:
    """The text of a file.

    Raises:
        InvalidArticleError: It is neither UTF-8 nor begins with the mark of UTF-16 or UTF-32; the message says what it
            is, where that can be told.
    """
    encoding = marked(data) or "utf-8"
    if encoding == "utf-8" and (found := _unmarked(data)) is not None:
        raise InvalidArticleError(
            f"an article must be UTF-8, but this is {found.upper()} without a byte order mark; {_convert(found)}"
        )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"byte {error.start} ({error.object[error.start]:#04x}) is not"
        if encoding != "utf-8":
            name = encoding.removesuffix("-sig").upper()
            raise InvalidArticleError(
                f"an article that begins with the mark of {name} must be {name}, but {what}; write the file anew"
            ) from error
        raise InvalidArticleError(f"an article must be UTF-8, but {what}; {_advice(data)}") from error


def _unmarked(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, told by the zeros of a text in Latin letters."""
    pairs = len(data) // 2
    if pairs < 2:
        return None
    zeros = {"utf-16le": data[1::2].count(0) / pairs, "utf-16be": data[0::2].count(0) / pairs}
    encoding = max(zeros, key=lambda name: zeros[name])
    if 0.4 < min(zeros.values()) < 0.8:
        encoding = encoding.replace("16", "32")
    elif zeros[encoding] <= 0.6 or min(zeros.values()) >= 0.1:
        return None
    return encoding if _is_text(data, encoding) else None


def _is_text(data: bytes, encoding: str) -> bool:
    """Whether an encoding makes text of it: hardly a control character, but for those between lines and words."""
    try:
        text = data[: len(data) // 4 * 4 or 2].decode(encoding)
    except UnicodeDecodeError:
        return False
    odd = sum(unicodedata.category(char) in _NO_TEXT and char not in "\t\n\r\f" for char in text)
    return odd <= _MOST_CONTROLS * len(text)


def _advice(data: bytes) -> str:
    """What to do about a file that is not UTF-8."""
    loose = data.decode("utf-8", errors="replace")
    whole = sum(char > "\x7f" and char != "\ufffd" for char in loose)
    if 0 < loose.count("\ufffd") <= whole and "\0" not in loose:
        return "most of it is, so it is damaged; iconv -c -f utf-8 -t utf-8 leaves out what is broken"
    accents = sum(byte > 0x7F for byte in data)
    letters = accents + sum(chr(byte).isalpha() for byte in data if byte <= 0x7F)
    text = data.decode("cp1252", errors="replace")
    odd = "\0" in text or "\ufffd" in text or _NO_WORDS.search(text)
    if not odd and accents <= _MOST_ACCENTS * letters:
        return f"it looks like Windows-1252 (Latin-1 is a part of it); {_convert('cp1252')}"
    if "\0" in text:
        return (
            "it is no text (it holds zero bytes): find out with `file -i FILE` what it is, and extract its text first"
        )
    return (
        "it is in another encoding, or no text at all: find out with `file -i FILE`, and convert it with iconv -f ... "
        "-t utf-8"
    )


def _convert(encoding: str) -> str:
    return f"convert it with iconv -f {encoding} -t utf-8"
