"""Tables of answers as files. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from infolens.errors import InvalidSettingError

from .answers import COLUMNS
from .encoding import mend, tidy
from .library import load_openpyxl
from .safety import defused

Rows = Iterable[Mapping[str, Any]]


def write_table(rows: Rows, format: str) -> bytes:  # noqa: A002 - so it is called wherever tables are written
    """A table of answers as a file.

    CSV is UTF-8 without a mark, as RFC 4180 has it; a cell that a spreadsheet program could take for a formula begins
    with an apostrophe. In Excel files texts are texts, whatever they begin with, and have at most 32,767 characters.

    Args:
        rows: What `to_row` gives, each.
        format: One of `FORMATS`.

    Raises:
        InvalidSettingError: There is no such format, or a row has a key that is none of `COLUMNS`.
        InvalidTableError: The format is ``xlsx``, and openpyxl is not installed.
    """
    return FORMATS[check_format(format)](_checked(rows))


def check_format(format: str) -> str:  # noqa: A002 - as `write_table` has it
    """Return the format of a table to be written.

    Raises:
        InvalidSettingError: There is none of this name.
        InvalidTableError: It is ``xlsx``, and openpyxl is not installed.
    """
    if format not in FORMATS:
        raise InvalidSettingError(f"the format of a table is one of {', '.join(FORMATS)}, not {format!r}")
    if format == "xlsx":
        load_openpyxl("an Excel file")
    return format


def _checked(rows: Rows) -> Iterator[list[Any]]:
    """The values of each row, in the order of the columns."""
    for row in rows:
        if unknown := [name for name in row if name not in COLUMNS]:
            raise InvalidSettingError(
                f"a row of answers has the keys {', '.join(COLUMNS)}, but this one has {unknown[0]!r}; to_row makes "
                "one of an answer"
            )
        yield [row.get(name) for name in COLUMNS]


def _csv(rows: Iterable[list[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if value is None else _cell(value) for value in row])
    return buffer.getvalue().encode()


def _cell(value: object) -> str:
    return tidy(defused(value)) if isinstance(value, str) else str(value)


def _objects(rows: Iterable[list[Any]]) -> Iterator[str]:
    for row in rows:
        values = [mend(value) if isinstance(value, str) else value for value in row]
        yield json.dumps(dict(zip(COLUMNS, values, strict=True)), ensure_ascii=False, allow_nan=False)


def _json_lines(rows: Iterable[list[Any]]) -> bytes:
    return "".join(f"{one}\n" for one in _objects(rows)).encode()


def _json(rows: Iterable[list[Any]]) -> bytes:
    inner = ",\n".join(_objects(rows))
    return f"[\n{inner}\n]\n".encode() if inner else b"[]\n"


def _xlsx(rows: Iterable[list[Any]]) -> bytes:
    from .workbook import write_workbook  # its library is an optional one

    return write_workbook(rows)


FORMATS: Final[Mapping[str, Callable[[Iterable[list[Any]]], bytes]]] = MappingProxyType(
    {"csv": _csv, "xlsx": _xlsx, "jsonl": _json_lines, "json": _json}
)
"""How a table is written, by the name of the format, which is also the end of the file's name."""
