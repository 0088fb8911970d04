"""Excel files (.xlsx, .xlsm) with openpyxl, looked at before they are unpacked. Macros and formulas are not run."""

from __future__ import annotations

import io
import itertools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infolens.errors import InvalidTableError

from .columns import (
    MAX_COLUMNS,
    NAMES,
    ROWS_LOOKED_AT,
    Gathering,
    choose,
    find_head,
    gather,
    gather_single,
    no_column,
    note_above,
    shown,
)
from .encoding import mend
from .library import load_openpyxl

_MAX_PARTS: Final = 2_000
_RATIO_FROM_BYTES: Final = 2**20
_MAX_RATIO: Final = 200
"""Parts of a megabyte or more that deflate by more than this are bombs: sheets deflate by 5 to 50."""
_MOST_INFLATED: Final = 2
"""All parts together have at most so many times the bytes of text that are allowed: a sheet is more than its text."""
_LAST_ROW: Final = 1_048_576
"""No sheet has more rows."""
_FORBIDDEN: Final = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_DECLARED: Final = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)", re.IGNORECASE)
_ENCODINGS: Final = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
_RETURN: Final = "_x000D_"
"""A carriage return, as Excel writes it into XML."""
_CHUNK_BYTES: Final = 2**20
_CSV: Final = "save it as CSV (UTF-8)"

Row = list[str | None]


def read_excel(data: bytes, gathering: Gathering, *, max_bytes: int) -> dict[str, str | None]:
    """Take the rows of the first sheet whose columns are named so that one holds texts or links.

    Args:
        data: The whole file.
        gathering: Takes the rows.
        max_bytes: How much text is allowed; the parts of the file have at most twice that, unpacked.

    Returns:
        The columns, as `Table.columns` has them.

    Raises:
        InvalidTableError: It is no Excel file, is broken, too large or unsafe, or has no such sheet; or openpyxl is not
            installed.
    """
    check_parts(data, _MOST_INFLATED * max_bytes)
    openpyxl = load_openpyxl("an Excel file")
    try:
        with warnings.catch_warnings():
            # What openpyxl does not know of a file, such as a drawing, is nothing to us.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            try:
                return _read([sheet for sheet in book.worksheets if sheet.sheet_state == "visible"], gathering)
            finally:
                book.close()
    except InvalidTableError:
        raise
    except Exception as error:  # noqa: BLE001, RUF100 - openpyxl raises whatever a broken file leads it to
        raise InvalidTableError(
            f"an Excel file must be whole, but this one cannot be read ({type(error).__name__}); open it, and {_CSV}"
        ) from error


def check_parts(data: bytes, max_bytes: int) -> None:
    """Check what an Excel file would be when unpacked, without unpacking it into memory.

    Args:
        data: The whole file.
        max_bytes: How large all its parts may be together.

    Raises:
        InvalidTableError: It is no Excel file, is too large or deflated too much, is encrypted, or its XML defines
            entities or is not UTF-8.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            _check_names([part.filename for part in parts])
            _check_sizes(parts, max_bytes)
            for part in parts:
                _check_xml(archive, part)
    except InvalidTableError:
        raise
    except Exception as error:  # noqa: BLE001, RUF100 - zipfile raises many errors, some of them of zlib and struct
        raise InvalidTableError(
            f"an Excel file must be a whole ZIP archive, but this one is broken ({error}); open it, and {_CSV}"
        ) from error


def _check_names(names: Sequence[str]) -> None:
    if "xl/workbook.bin" in names:
        raise InvalidTableError(
            f"a table is CSV, Excel (.xlsx) or JSON, but this is an .xlsb file; open it, and {_CSV}"
        )
    if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
        raise InvalidTableError(
            "a table is CSV, Excel (.xlsx) or JSON, but this is another archive or document; open it, and save the "
            "table in it as .xlsx or CSV (UTF-8)"
        )
    if len(names) > _MAX_PARTS:
        raise InvalidTableError(
            f"an Excel file has at most {_MAX_PARTS:,} parts, but this one has {len(names):,}; {_CSV}"
        )


def _check_sizes(parts: Sequence[zipfile.ZipInfo], max_bytes: int) -> None:
    # zipfile hands out no more of a part than the size that it declares.
    total = sum(part.file_size for part in parts)
    if total > max_bytes:
        raise InvalidTableError(
            f"an Excel file has at most {max_bytes:,} bytes when it is unpacked, but this one has {total:,}; "
            f"split it into several, or {_CSV}"
        )
    for part in parts:
        if part.flag_bits & 1:
            raise InvalidTableError(f"an Excel file has no password, but this one does; take it off, or {_CSV}")
        if part.file_size >= _RATIO_FROM_BYTES and part.file_size > _MAX_RATIO * part.compress_size:
            raise InvalidTableError(
                f"a part of an Excel file is packed at most {_MAX_RATIO} times, but {part.filename[:80]!r} is "
                f"{part.file_size // max(1, part.compress_size):,} times larger than packed; {_CSV}"
            )


def _check_xml(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse what defines entities, in any part: which of them is XML is said in the file itself."""
    rest = b""
    with archive.open(part) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if not rest:
                _check_encoding(part.filename, chunk)
            if found := _FORBIDDEN.search(rest + chunk):
                raise InvalidTableError(
                    f"the XML in an Excel file defines no entities, but {part.filename[:80]!r} has "
                    f"{found.group().decode()}; open it, and {_CSV}"
                )
            rest = chunk[-16:]


def _check_encoding(name: str, start: bytes) -> None:
    """Refuse XML in which `_FORBIDDEN` could not be seen."""
    declared = _DECLARED.match(start.removeprefix(b"\xef\xbb\xbf").lstrip()[:256])
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"<\0" in start[:8] or b"\0<" in start[:8]
    if wide or (declared and declared.group(1).lower() not in _ENCODINGS):
        raise InvalidTableError(
            f"the XML in an Excel file must be UTF-8, but {name[:80]!r} is in another encoding; open it, and {_CSV}"
        )


def _read(sheets: Sequence[Any], gathering: Gathering) -> dict[str, str | None]:
    heads: list[Row] = []
    for sheet in sheets:
        first = list(itertools.islice(_rows(sheet), ROWS_LOOKED_AT))
        heads += first[:1]
        place = find_head([[cell or "" for cell in row] for row in first])
        if place is None or len([cell for cell in first[place] if cell]) < 2:
            continue
        if len(sheets) > 1:
            gathering.note(f"the sheet {sheet.title!r} was read")
        note_above(place, gathering)
        head = [cell or "" for cell in first[place]]
        places = {what: at for what, at in choose(head).items() if at is not None}
        gather(_named(itertools.islice(_rows(sheet), place + 1, None), places), gathering)
        return {what: head[places[what]] if what in places else None for what in NAMES}
    for sheet in sheets:
        if values := _only_column(sheet):
            return gather_single(values, gathering)
    if not heads:
        raise InvalidTableError("a table needs at least one row with an article, but this Excel file is empty")
    raise no_column([cell or "" for cell in heads[0]])


def _rows(sheet: Any) -> Iterator[Row]:
    """The rows of a sheet that are not empty, their cells as text."""
    # The bounds are ours: a file says of its size what it likes.
    for row in sheet.iter_rows(max_row=_LAST_ROW, max_col=MAX_COLUMNS, values_only=True):
        if not any(row):  # as a million between two far apart may be
            continue
        cells = [shown(mend(cell).replace(_RETURN, "") if isinstance(cell, str) else cell) for cell in row]
        if any(cells):
            yield cells


def _named(rows: Iterator[Row], places: Mapping[str, int]) -> Iterator[Mapping[str, object]]:
    for row in rows:
        yield {what: row[place] for what, place in places.items()}


def _only_column(sheet: Any) -> list[str]:
    """The cells of a sheet with one column; empty where it has more, or none."""
    values: list[str] = []
    column: int | None = None
    for row in _rows(sheet):
        used = [place for place, cell in enumerate(row) if cell]
        if len(used) > 1 or used[0] != (used[0] if column is None else column):
            return []
        column = used[0]
        values.append(row[column] or "")
    return values
