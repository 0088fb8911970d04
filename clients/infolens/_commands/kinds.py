"""What a file is that holds no article: told by its first bytes or its first words, with the way to its text."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from infolens.errors import InvalidArticleError

MAX_TITLE_CHARS: Final = 200
"""A longer first line is no title."""
_LOOKED_AT_CHARS: Final = 65_536
"""So much of a text is looked at, and no more."""

_UNPACK: Final = "unpack it first, and give the text files in it"
_UNPACK_ONE: Final = "unpack it: {} FILE | infolens analyze -"
_READ_IMAGE: Final = "read the words in it first, as with: tesseract FILE - | infolens analyze -"
_OFFICE: Final = "save it as plain text (UTF-8) first, or: pandoc -t plain FILE | infolens analyze -"
_OLD_OFFICE: Final = "save it as plain text (UTF-8) first, or: antiword -m UTF-8 FILE | infolens analyze -"
_SPEECH: Final = "write down first what is said in it"
_MANY: Final = (
    "send many articles to POST /v1/analyze/batch, one JSON object a line, or with analyze_batch of the Python SDK"
)


_SHELL: Final = re.compile(r", (?:or|as with): |(?<=unpack it): ")
"""What stands between the way out and the commands by which a shell takes it."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file that is no plain text."""

    what: str
    """What it is, in words: ``a PDF``."""
    way_out: str
    """How its text is had, with the command for it where there is one."""
    name: str = ""
    """What programs call it that can do more than refuse it; empty where there are none."""

    @property
    def in_words(self) -> str:
        """The way out for people without a shell."""
        return _SHELL.split(self.way_out)[0]


@dataclass(frozen=True, kw_only=True)
class _Signature(Kind):
    pattern: bytes
    """What the file begins with, as a regular expression."""


_SIGNATURES: Final = (
    _Signature(
        pattern=rb"\s*%PDF-",
        what="a PDF",
        way_out="extract its text first, as with: pdftotext FILE - | infolens analyze -",
    ),
    _Signature(pattern=rb"(?s)PK\x03\x04.*word/", what="a Word document (.docx)", way_out=_OFFICE),
    _Signature(pattern=rb"(?s)PK\x03\x04.{26}mimetypeapplication/epub", what="an e-book (.epub)", way_out=_OFFICE),
    _Signature(
        pattern=rb"(?s)PK\x03\x04.{26}mimetypeapplication/vnd\.oasis",
        what="an OpenDocument file (.odt and the like)",
        way_out=_OFFICE,
    ),
    _Signature(
        pattern=rb"(?s)PK\x03\x04.*(xl|ppt)/",
        what="an Excel or PowerPoint file",
        way_out="save the article in it as plain text (UTF-8) first",
    ),
    _Signature(pattern=rb"PK(\x03\x04|\x05\x06)", what="a zip archive", way_out=_UNPACK),
    _Signature(
        pattern=rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", what="an old Office document (such as .doc)", way_out=_OLD_OFFICE
    ),
    _Signature(pattern=rb"\{\\rtf", what="a rich text document (.rtf)", way_out=_OFFICE),
    _Signature(pattern=rb"%!PS", what="PostScript", way_out="extract its text first, as with: ps2ascii FILE"),
    _Signature(pattern=rb"\xff\xd8\xff", what="an image (JPEG)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"\x89PNG\r\n\x1a\n", what="an image (PNG)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"GIF8[79]a", what="an image (GIF)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"II\*\x00|MM\x00\*", what="an image (TIFF)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"(?s)RIFF.{4}WEBP", what="an image (WebP)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"(?s).{4}ftyp(heic|heix|mif1|avif)", what="an image (HEIC or AVIF)", way_out=_READ_IMAGE),
    _Signature(pattern=rb"(?s)BM.{4}\x00{4}", what="an image (BMP)", way_out=_READ_IMAGE),
    _Signature(
        pattern=rb"(?s)RIFF.{4}(WAVE|AVI )|.{4}ftyp|ID3[\x02-\x04]|OggS\x00|\xff[\xfb\xf3\xf2]|fLaC|\x1aE\xdf\xa3",
        what="a sound or a film",
        way_out=_SPEECH,
    ),
    _Signature(pattern=rb"\x1f\x8b", what="a file packed with gzip", way_out=_UNPACK_ONE.format("zcat")),
    _Signature(
        pattern=rb"BZh[1-9]1AY&SY",
        what="a file packed with bzip2",
        way_out="unpack it: bzcat FILE | infolens analyze -",
    ),
    _Signature(pattern=rb"\xfd7zXZ\x00", what="a file packed with xz", way_out=_UNPACK_ONE.format("xzcat")),
    _Signature(
        pattern=rb"\x28\xb5\x2f\xfd",
        what="a file packed with zstd",
        way_out=_UNPACK_ONE.format("zstdcat"),
    ),
    _Signature(pattern=rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", what="a 7-Zip or RAR archive", way_out=_UNPACK),
    _Signature(pattern=rb"(?s).{257}ustar", what="a tar archive", way_out=_UNPACK),
    _Signature(pattern=rb"PAR1", what="a table in Parquet", way_out=_MANY),
    _Signature(pattern=rb"SQLite format 3\x00", what="a database (SQLite)", way_out=_MANY),
    _Signature(pattern=rb"\x7fELF|MZ.\x00", what="a program", way_out="name a file with the text of an article"),
)
"""The first that fits counts."""


def check_bytes(data: bytes) -> None:
    """Refuse what is no text.

    Args:
        data: The file, or its beginning.

    Raises:
        InvalidArticleError: It is something else; the message says what, and how to get at its text.
    """
    if (kind := kind_of_bytes(data)) is not None:
        raise _refusal(kind.what, kind.way_out)


def kind_of_bytes(data: bytes) -> Kind | None:
    """What a file is by its first bytes; None for what may be text."""
    return next((one for one in _SIGNATURES if re.match(one.pattern, data)), None)


def check_words(text: str) -> None:
    """Refuse text that is written for programs: markup and tables, whose marks no model was trained on.

    Args:
        text: The whole text, or its beginning.

    Raises:
        InvalidArticleError: It is markup or a table; the message says what, and how to get at the article in it.
    """
    if (kind := kind_of_words(text)) is not None:
        raise _refusal(kind.what, f"{kind.way_out} (--text takes any text as it is)")


def kind_of_words(text: str) -> Kind | None:
    """What a text is that is written for programs: ``html``, ``markup``, ``json`` or ``table``; None for other text."""
    start = text.lstrip("\ufeff \t\r\n")[:_LOOKED_AT_CHARS]
    for fits, what, way_out, name in _WRITINGS:
        if fits(start):
            return Kind(what=what, way_out=way_out, name=name)
    return None


def _refusal(what: str, way_out: str) -> InvalidArticleError:
    return InvalidArticleError(f"an article must be plain text, but this is {what}; {way_out}")


_HTML: Final = re.compile(r"(?i)(\s|<!--.*?-->|<\?xml[^>]*>)*<(!doctype html|html|head|body)\b", re.DOTALL)
_TAG: Final = re.compile(r"<(\?xml|!--|!doctype|[a-z][\w:.-]*(\s+[\w:.-]+\s*=[^<>]*)?\s*/?>)", re.IGNORECASE)
_OBJECT: Final = re.compile(r'\{\s*"|\[\s*\{')
_COLUMN: Final = re.compile(r"\w[\w .-]{0,39}")
_USUAL_COLUMN: Final = re.compile(
    "articles?|author|body|category|class|content|date|description|headline|id|label|language|link|news|published|section|"
    "source|summary|text|title|topic|url|veracity"
)
"""A table of articles has at least one such column."""


def _is_html(start: str) -> bool:
    return _HTML.match(start) is not None


def _is_markup(start: str) -> bool:
    return _TAG.match(start) is not None and ("</" in start or "/>" in start or start.startswith(("<?", "<!")))


def _is_json(start: str) -> bool:
    if _OBJECT.match(start):
        return True
    if not start.startswith(("[", "{")):
        return False
    try:
        return isinstance(json.loads(start), list | dict)
    except (ValueError, RecursionError):
        return False


def _is_table(start: str) -> bool:
    """Whether the first line is a list of columns, one with a name that is usual, and the second has as many fields."""
    for delimiter in ",;\t":
        try:
            rows = csv.reader(start.splitlines(keepends=True), delimiter=delimiter)
            columns, row = next(rows), next(rows)
        except (StopIteration, csv.Error):
            continue
        if len(columns) > 1 and len(row) == len(columns) and all(map(_COLUMN.fullmatch, columns)):
            return any(_USUAL_COLUMN.fullmatch(column.lower()) for column in columns)
    return False


_WRITINGS: Final[tuple[tuple[Callable[[str], bool], str, str, str], ...]] = (
    (
        _is_html,
        "HTML",
        "give the text of its article alone, as with: pandoc -f html -t plain FILE | infolens analyze -, and leave out "
        "menus and advertisements",
        "html",
    ),
    (_is_markup, "markup (XML or HTML)", "give the text of its article alone", "markup"),
    (_is_json, "JSON", f"{_MANY}; one text of it: jq -r .text FILE | infolens analyze -", "json"),
    (_is_table, "a table (CSV)", f"{_MANY}; one article: its text alone", "table"),
)
