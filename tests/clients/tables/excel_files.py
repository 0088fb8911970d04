"""Excel files made for a test: whole ones, and ones with a part exchanged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import openpyxl


def workbook(**sheets: Sequence[Sequence[Any]]) -> bytes:
    """An Excel file with some sheets of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


ROWS = (("id", "Body"), ("1", "The bridge is closed."))


def with_parts(data: bytes, parts: Mapping[str, bytes]) -> bytes:
    """The file with some of its parts exchanged, or others beside them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in parts:
                new.writestr(name, old.read(name))
        for name, content in parts.items():
            new.writestr(name, content)
    return buffer.getvalue()


def part(data: bytes, name: str) -> bytes:
    """One part of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)
