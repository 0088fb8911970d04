"""Readers of the kinds of files that hold tables: the rows as they are written, part by part.

Cells of a CSV are texts or missing; those of the other formats are as they were written.
"""

from __future__ import annotations

import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from training.errors import DataError

from .cells import shown_value
from .opening import GZIP, open_text

_SAID: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
PART_ROWS: Final = 4096
"""Rows of a part."""
_LAYOUT: Final = (
    'rows are objects: one a line, {"text": ..., "label": ...}, or an array of them, [{...}, {...}], which may be the '
    'one array of an object, {"data": [...]}'
)


def kind_of(path: Path) -> str:
    """The ending that tells how a file is read, in small letters and without ``.gz``; empty where none does."""
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    return ending if ending in READERS else ""


def file_parts(path: Path, encoding: str = "") -> Iterator[pd.DataFrame]:
    """The rows of a file, part by part.

    Args:
        path: A file of one of `READERS`, also compressed with gzip.
        encoding: How its text is written (see `opening.open_text`); parquet knows for itself.

    Raises:
        DataError: It cannot be read, or its columns have no names of their own.
    """
    kind = kind_of(path)
    if not kind:
        raise DataError(f"{path}: the kind of file is told by its ending: {ENDINGS}")
    try:
        for part in READERS[kind](path, encoding):
            twice = sorted({str(name) for name in part.columns[part.columns.duplicated()]})
            if twice:
                names = ", ".join(map(shown_value, twice))
                raise ValueError(
                    f"several of its columns are called {names}, and nobody can tell which is meant: give each a name "
                    "of its own, or delete the others"
                )
            yield part
    except RecursionError as error:
        raise DataError(f"{path}: cannot be read as {kind[1:]}: it is nested too deep; {_LAYOUT}") from error
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as {kind[1:]}: {' '.join(str(error).split())}") from error


def _parquet_parts(path: Path, _: str) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as beginning:
        if beginning.read(len(GZIP)) == GZIP:
            raise ValueError("it is compressed as a whole, and parquet compresses inside: unpack it with gunzip")
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PART_ROWS):
                # An index that pandas wrote is no column of the user's.
                pairs = zip(batch.schema.names, batch.columns, strict=True)
                own = [(name, _plain(column)) for name, column in pairs if not name.startswith("__index_level_")]
                table = pa.RecordBatch.from_arrays([column for _, column in own], [name for name, _ in own])
                table.validate(full=True)  # a writer may call something a text that is none
                # Without pandas' metadata, which would take a column away where it was an index.
                yield table.to_pandas(ignore_metadata=True)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _plain(column: Any) -> Any:
    """A column of parquet without dictionary, and as texts where old writers call them bytes."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        try:
            return column.cast(pa.large_string())
        except pa.ArrowInvalid:  # no text: pictures, perhaps
            return column
    return column


def _csv_parts(path: Path, encoding: str) -> Iterator[pd.DataFrame]:
    with open_text(path, encoding) as lines:
        first = next((line for line in lines if line.strip()), "")
    if not first:
        return
    said = _SAID.fullmatch(first.strip("\ufeff \r\n"))  # Excel's own line, above the header
    names: list[str] = []
    # As texts: guessed from a part alone, the type of a column would change from part to part. The names are read as a
    # row: pandas would rename columns that are called the same, and count one that has no name among the rows' names.
    # And a cell that says "None" or "NA" is a text, as it is in the other formats: a label may be called so.
    with (
        open_text(path, encoding) as lines,
        pd.read_csv(
            lines,
            dtype=str,
            header=None,
            sep=said[1] if said else _separator(first),
            skiprows=1 if said else 0,
            chunksize=PART_ROWS,
            keep_default_na=False,
            na_values=[""],
        ) as parts,
    ):
        for part in _told_apart(parts):
            if not names:
                names = [name if isinstance(name, str) else f"unnamed {i}" for i, name in enumerate(part.iloc[0])]
                part = part.iloc[1:]
            part.columns = pd.Index(names)
            yield part


def _told_apart(parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The parts; rows of another number of cells are refused in words of a table's rule."""
    try:
        yield from parts
    except pd.errors.ParserError as error:
        words = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(
            f"{words}. Every row has as many cells as the first "
            "line, and a cell with a separator, a quotation mark or a line break in it stands in quotation marks"
        ) from error


def _separator(header: str) -> str:
    """What separates the columns: a comma, unless there is none and there are semicolons, tabs or bars."""
    return next((sign for sign in (",", ";", "\t", "|") if sign in header), ",")


def _json_parts(path: Path, encoding: str) -> Iterator[pd.DataFrame]:
    with open_text(path, encoding) as text:
        lines = ((number, line) for number, line in enumerate(text, start=1) if line.strip("\ufeff \t\r\n"))
        beginning = list(itertools.islice(lines, 2))
        if len(beginning) > 1 and _is_object(beginning[0][1]):
            numbered = itertools.chain(beginning, lines)
            while rows := [_row(number, line) for number, line in itertools.islice(numbered, PART_ROWS)]:
                yield _frame(rows)
        elif beginning:
            yield _frame(_rows_of(_document("".join([*(line for _, line in beginning), *text]))))


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    # Objects: whole numbers beside missing ones stay whole, and a text may be one that pandas' own type refuses.
    return pd.DataFrame(rows, dtype=object)


def _document(text: str) -> Any:
    try:
        return _loads(text)
    except ValueError as error:
        raise ValueError(f"{error}; {_LAYOUT}") from error


def _is_object(line: str) -> bool:
    try:
        return isinstance(_loads(line), dict)
    except ValueError:
        return False


def _row(number: int, line: str) -> dict[str, Any]:
    try:
        row = _loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}: {line[:80]!r}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number}: is no object: {line[:80]!r}; {_LAYOUT}")
    return row


def _rows_of(document: Any) -> list[dict[str, Any]]:
    """The rows of a whole JSON document."""
    if isinstance(document, dict):
        arrays = {name: value for name, value in document.items() if _has_objects(value)}
        kinds = {type(value) for value in document.values()}
        if not arrays and kinds not in ({list}, {dict}):
            return [document]
        if len(arrays) != 1:
            several = "several arrays of rows" if arrays else "columns"
            raise ValueError(
                f"it is one object with {several}: {', '.join(map(shown_value, arrays or document))}; {_LAYOUT}"
            )
        document = next(iter(arrays.values()))
    if not isinstance(document, list):
        raise ValueError(f"it is no table but {shown_value(document)}; {_LAYOUT}")
    for number, row in enumerate(document, start=1):
        if not isinstance(row, dict):
            raise ValueError(f"entry {number} of the array is no object: {shown_value(row)}; {_LAYOUT}")
    return document


def _has_objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, dict) for row in value)


def _loads(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_named_once)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object has {next(name for name in names if names.count(name) > 1)!r} twice")
    return row


READERS: Final[dict[str, Callable[[Path, str], Iterator[pd.DataFrame]]]] = {
    ".parquet": _parquet_parts,
    ".csv": _csv_parts,
    ".tsv": _csv_parts,
    ".jsonl": _json_parts,
    ".json": _json_parts,
}
ENDINGS: Final = f"{', '.join(READERS)} (also with .gz)"
