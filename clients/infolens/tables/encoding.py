"""The text of a table whose encoding nobody has told, and text that every program can take."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from infolens._values.marks import marked
from infolens.errors import InvalidTableError

_MOST_DAMAGED: Final = 20
"""A text in UTF-8 has at most so many damaged bytes; with more it is in another encoding."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML cannot hold, and no spreadsheet program shows."""


def decode(data: bytes, note: Callable[[str], None]) -> str:
    """The text of a table: what its mark says, UTF-8, or else Windows-1252, with a note.

    Args:
        data: The file.
        note: Is told what people should look at.

    Raises:
        InvalidTableError: It is no text.
    """
    encoding = marked(data)
    try:
        if encoding is not None:
            return data.decode(encoding)
        if b"\0" in data[:4096]:
            raise InvalidTableError(
                "a table must be text or an Excel file (.xlsx), but this file holds zero bytes; save it as CSV in UTF-8"
            )
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            name = encoding.removesuffix("-sig").upper()
            raise InvalidTableError(
                f"a table that begins with the mark of {name} must be {name}, but byte {error.start} is not; "
                "save it anew as CSV in UTF-8"
            ) from error
    loose = data.decode("utf-8", errors="replace")
    whole = sum(char > "\x7f" and char != "\ufffd" for char in loose)
    if 0 < loose.count("\ufffd") <= min(whole, _MOST_DAMAGED):
        note(f"{loose.count(chr(0xFFFD))} damaged characters are shown as \ufffd: the file is not whole UTF-8")
        return loose
    note("the file is not UTF-8 and was read as Windows-1252: look whether accents and quotation marks are right")
    return data.decode("cp1252", errors="replace")


def mend(text: str) -> str:
    """The text with halves of surrogate pairs joined, and those without their other half replaced."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def tidy(text: str) -> str:
    """The text without characters that XML and spreadsheets cannot hold, and with line breaks of one kind."""
    return _CONTROL.sub("", mend(text).replace("\r\n", "\n").replace("\r", "\n"))
