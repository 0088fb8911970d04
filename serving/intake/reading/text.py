"""Text as the models read it: paragraphs with a blank line between them, no longer than an article may be."""

from __future__ import annotations

import re
from typing import Final

from infolens.contract import MAX_ARTICLE_BYTES

MAX_TITLE_CHARS: Final = 300
_MAX_NAME_CHARS: Final = 200
_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_NOTHING: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Controls, soft hyphens, blanks of no width, halves of pairs: nothing that is read."""
_BLANKS: Final = re.compile("[^\\S\n]+")
_AROUND: Final = re.compile(" ?\n ?")
_PARAGRAPH: Final = re.compile("\n{2,}")
_MAX_RAW_CHARS: Final = 16 * MAX_ARTICLE_BYTES
"""No more of a text is looked at: what is cut off behind it is not read in any case."""


def clean(text: str) -> str:
    """Text with one kind of line end, single blanks, and one blank line where there were several."""
    text = _NOTHING.sub("", _LINE_ENDS.sub("\n", text[:_MAX_RAW_CHARS]))
    text = _AROUND.sub("\n", _BLANKS.sub(" ", text))
    return _PARAGRAPH.sub("\n\n", text).strip()


def line(text: str | None, most: int = _MAX_NAME_CHARS) -> str | None:
    """A name or title in one line; None where there is none, or where it is longer than such a thing is."""
    if not isinstance(text, str):
        return None
    found = " ".join(clean(text[: 16 * most]).split())
    return found if found and len(found) <= most else None


def cut(text: str, title: str | None) -> tuple[str, bool]:
    """Cut a text at a paragraph, so that it and its title are no larger than an article may be.

    Returns:
        The text, and whether something was cut off.
    """
    room = MAX_ARTICLE_BYTES - len((title or "").encode())
    content = text.encode()
    if len(content) <= room and len(text) < _MAX_RAW_CHARS:
        return text, False
    kept = content[:room].decode(errors="ignore")
    for end in ("\n\n", "\n", " "):
        before, found, _ = kept.rpartition(end)
        if found and len(before) > len(kept) // 2:
            return before.rstrip(), True
    return kept, True
