"""An Excel file of answers, written in memory with openpyxl, for people to read."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter

from .answers import COLUMNS
from .encoding import tidy
from .safety import is_formula

MAX_CELL_CHARS: Final = 32_767
"""The most that a cell of Excel holds, in code units of UTF-16."""
_WIDTHS: Final[Mapping[str, int]] = {
    "id": 14,
    "title": 36,
    "url": 30,
    "summary": 64,
    "summary_unsupported": 24,
    "category": 15,
    "category_doubt": 18,
    "veracity_doubt": 18,
    "error": 36,
    "note": 28,
}
_OTHER_WIDTH: Final = 13
_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
"""What Excel would take for a character written by its number."""


class _InMemory(ExcelWriter):  # type: ignore[misc]  # openpyxl has no types
    """Writes sheets without a temporary file: where strangers' tables are written, there may be no disk."""

    def write_worksheet(self, ws: Any) -> None:
        """Write a sheet that has neither drawings nor comments."""
        out = io.BytesIO()
        writer = WorksheetWriter(ws, out)
        writer.write()
        ws._drawing = SpreadsheetDrawing()  # noqa: SLF001 - so openpyxl's own method does
        ws._rels = writer._rels  # noqa: SLF001
        self._archive.writestr(ws.path[1:], out.getvalue())
        self.manifest.append(ws)


def write_workbook(rows: Iterable[list[Any]]) -> bytes:
    """An Excel file with one sheet: a head that stays in sight, and rows whose texts are wrapped.

    Args:
        rows: The values of each row, in the order of `COLUMNS`.
    """
    book = Workbook()
    sheet = book.active
    sheet.title = "Info Lens"
    sheet.append(COLUMNS)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for place, name in enumerate(COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = _WIDTHS.get(name, _OTHER_WIDTH)
    layout = Alignment(wrap_text=True, vertical="top")
    for number, row in enumerate(rows, start=2):
        for place, value in enumerate(row, start=1):
            if value is not None:
                _fill(sheet.cell(row=number, column=place), value, layout)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _InMemory(book, archive).write_data()
    return buffer.getvalue()


def _fill(cell: Cell, value: object, layout: Alignment) -> None:
    cell.alignment = layout
    if not isinstance(value, str):
        cell.value = value
        return
    text = _cut(_ESCAPE.sub("_x005F_", tidy(value)))
    cell.value = text
    cell.data_type = "s"  # whatever it begins with
    cell.hyperlink = None
    # Somebody who edits the cell sees a text too, and makes no formula of it.
    cell.quotePrefix = is_formula(text)


def _cut(text: str) -> str:
    """The text within `MAX_CELL_CHARS`, a mark at its end where it was longer."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * MAX_CELL_CHARS:
        return text
    return units[: 2 * (MAX_CELL_CHARS - 1)].decode("utf-16-le", "ignore") + "…"
