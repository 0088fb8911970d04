"""Tables of articles, whatever their form: what a file is, is told by what it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from infolens.errors import InvalidTableError

from .columns import Gathering
from .delimited import read_delimited
from .encoding import decode
from .lines import is_json, read_json
from .values import MAX_ROWS, MAX_TEXT_BYTES, Table

_CSV: Final = "save it as .xlsx or as CSV (UTF-8)"
_NO_TABLES: Final[Mapping[bytes, str]] = {
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel file (.xls), or one with a password",
    rb"\s*%PDF-": "a PDF",
    rb"\x1f\x8b|BZh[1-9]1AY&SY|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd": "a packed file",
    rb"PAR1": "a table in Parquet",
    rb"SQLite format 3": "a database (SQLite)",
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a": "an image",
    rb"\{\\rtf": "a rich text document (.rtf)",
    rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype|<html|<\?xml|<table|<script)": "HTML or XML",
}
"""What begins so, as a regular expression, is no table that is read."""
_JSON_NAMES: Final = (".json", ".jsonl", ".ndjson")


def read_table(data: bytes, name: str = "", *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_TEXT_BYTES) -> Table:
    """Read a table of articles: CSV, Excel (.xlsx, .xlsm), JSON lines or a JSON array.

    The columns text (or body, article, content, story), title (headline), url (link, href) and id (name, key, uuid) are
    understood, whatever their case, blanks and underscores. A file with a single column holds texts, or links where
    every value is one. A row that is no article has its ``error``; the others are read.

    Args:
        data: The file.
        name: Its name, a hint only: what the file holds decides.
        max_rows: How many rows are read; those beyond are left out, with a note.
        max_bytes: How large the file may be, and how large its texts together, as UTF-8.

    Raises:
        InvalidTableError: It is no table of articles, or too large; or it is an Excel file, and openpyxl is missing.
    """
    if len(data) > max_bytes:
        raise InvalidTableError(
            f"a table has at most {max_bytes:,} bytes, but this one has {len(data):,}; split it into several"
        )
    for begins, what in _NO_TABLES.items():
        if re.match(begins, data):
            raise InvalidTableError(f"a table is CSV, Excel (.xlsx) or JSON, but this is {what}; {_CSV}")
    gathering = Gathering(max_rows=max_rows, max_bytes=max_bytes)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from .excel import read_excel  # its library is an optional one

        return gathering.table("xlsx", read_excel(data, gathering, max_bytes=max_bytes))
    text = decode(data, gathering.note)
    if not text or text.isspace():
        raise InvalidTableError("a table needs at least one row with an article, but this file is empty")
    if is_json(text) or name.lower().endswith(_JSON_NAMES):
        kind, columns = read_json(text, gathering)
        return gathering.table(kind, columns)
    return gathering.table("csv", read_delimited(text, gathering))
