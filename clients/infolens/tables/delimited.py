"""CSV: cells between commas, semicolons, tabs or bars. Pure."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from .columns import (
    MAX_COLUMNS,
    NAMES,
    ROWS_LOOKED_AT,
    Gathering,
    choose,
    find_head,
    gather,
    gather_single,
    looks_like_names,
    no_column,
    note_above,
)

_DELIMITERS: Final = ",;\t|"
_NONE: Final = "\x1f"
"""Stands between cells where there is one alone: no text holds this character."""
_LOOKED_AT_ROWS: Final = 20
_SEPARATOR_LINE: Final = re.compile(r"\ufeff?sep=([^\r\n\"])\r?\n", re.IGNORECASE)
"""How Excel writes what stands between the cells."""

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")

Row = list[str]


def read_delimited(text: str, gathering: Gathering) -> dict[str, str | None]:
    """Take the rows of a CSV file.

    Args:
        text: The whole file.
        gathering: Takes the rows.

    Returns:
        The columns, as `Table.columns` has them.

    Raises:
        InvalidTableError: No column holds texts or links.
    """
    # The limit counts for the whole process; what is read here is bounded already.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    told = _SEPARATOR_LINE.match(text)
    text = text[told.end() :] if told else text
    delimiter = _delimiter(text, told.group(1) if told else _DELIMITERS)
    if delimiter == _NONE:
        values = [row[0] for row in _single(text) if row]
        return gather_single(values, gathering) if values else dict.fromkeys(NAMES)
    _note_broken_quotes(text, delimiter, gathering)
    rows = _rows(text, delimiter)
    first = list(itertools.islice(rows, _head_of(text, delimiter) + 1))
    note_above(len(first) - 1, gathering)
    head = first[-1]
    gather(_named(rows, head, gathering), gathering)
    return {what: None if place is None else head[place] for what, place in choose(head).items()}


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends, as the reader of `csv` wants them; `io.StringIO` would hold the text four times."""
    return (found.group() for found in _LINE.finditer(text))


def _rows(text: str, delimiter: str, *, strict: bool = False) -> Iterator[Row]:
    """The rows that are not empty, their cells as they are."""
    for row in csv.reader(_lines(text), delimiter=delimiter, strict=strict):
        if any(cell and not cell.isspace() for cell in row):
            yield row


def _delimiter(text: str, candidates: str) -> str:
    """What stands between the cells; `_NONE` where there is one column.

    Raises:
        InvalidTableError: There are several columns, and none holds texts or links.
    """
    named: dict[str, int] = {}
    nameless: Sequence[str] = ()
    for delimiter in candidates:
        first = list(itertools.islice(_rows(text, delimiter), _LOOKED_AT_ROWS))
        place = find_head(first)
        if place is not None and len(_used(first[place])) > 1:
            named[delimiter] = len(first[place])
        widths = {len(row) for row in first}
        if len(first) > 1 and widths == {len(first[0])} and len(first[0]) > 1 and looks_like_names(_used(first[0])):
            nameless = nameless or first[0]
    if named:
        return max(named, key=lambda one: named[one])
    if nameless:
        raise no_column(nameless)
    return _NONE


def _head_of(text: str, delimiter: str) -> int:
    place = find_head(list(itertools.islice(_rows(text, delimiter), ROWS_LOOKED_AT)))
    assert place is not None  # noqa: S101 - the delimiter was chosen by it
    return place


def _used(row: Row) -> Row:
    """The cells of a head that are not empty, without the blanks around them."""
    return [cell.strip(" \t\ufeff\u200b\xa0") for cell in row if cell.strip(" \t\ufeff\u200b\xa0")]


def _single(text: str) -> Iterator[Row]:
    """The rows of one cell each: quoted as in CSV, or else a line each as it is."""
    try:
        return iter(list(_rows(text, _NONE, strict=True)))
    except csv.Error:
        return ([line] for line in text.splitlines() if line and not line.isspace())


def _note_broken_quotes(text: str, delimiter: str, gathering: Gathering) -> None:
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error:
        gathering.note(
            f"the quotation marks near line {reader.line_num:,} do not fit together: look whether the rows there were "
            "read as they should; within a cell a quotation mark is written twice"
        )


def _named(rows: Iterable[Row], head: Row, gathering: Gathering) -> Iterator[Mapping[str, object]]:
    """The cells of each row by what they hold; rows that do not fit the head are taken as faulty at once."""
    places = {what: place for what, place in choose(head).items() if place is not None}
    width = len(head)
    for row in rows:
        cells = {what: row[place] for what, place in places.items() if place < len(row)}
        beyond = [cell for cell in row[width:MAX_COLUMNS] if cell and not cell.isspace()]
        if not beyond:
            yield cells
        elif not gathering.add(
            {what: cells.get(what) for what in ("id", "title")},
            problem=f"the first line names {width} columns, but this row has {len(row):,} cells; a cell that holds the "
            "character between the cells stands in quotation marks",
        ):
            return
