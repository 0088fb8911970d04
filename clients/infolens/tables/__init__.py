r"""Tables of articles in, tables of answers out: CSV, Excel (.xlsx), JSON lines and JSON.

>>> from infolens.tables import read_table, to_row, write_table
>>> table = read_table(b"headline,body\r\nLate goal,The home side won.\r\n")
>>> table.rows[0].title
'Late goal'
>>> write_table([to_row({"id": "1", "error": {"detail": "no text"}})], "csv").splitlines()[1]
b'1,,,,,,,,,,,,,,no text,'

What comes in may come from strangers: sizes are looked at before anything is unpacked, and no part of a file is run,
fetched or believed. What goes out runs nowhere as a formula. Excel files need openpyxl: ``pip install
'infolens[tables]'``.
"""

from __future__ import annotations

from .answers import CAVEAT, COLUMNS, to_row
from .reading import read_table
from .values import MAX_ROWS, MAX_TEXT_BYTES, ArticleRow, Table
from .writing import FORMATS, check_format, write_table

__all__ = [
    "CAVEAT",
    "COLUMNS",
    "FORMATS",
    "MAX_ROWS",
    "MAX_TEXT_BYTES",
    "ArticleRow",
    "Table",
    "check_format",
    "read_table",
    "to_row",
    "write_table",
]
