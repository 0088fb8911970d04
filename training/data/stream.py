"""Read a table part by part, so that a file larger than the memory can be checked and prepared."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from training.errors import DataError

from .tables import READERS, map_columns, named_split, read_table

_ROWS = 4096
"""Rows of a part."""


def stream_table(source: str, columns: Mapping[str, str] | None = None) -> Iterator[pd.DataFrame]:
    """The rows of a file or a folder of files, in parts whose index counts the rows from 0.

    Args:
        source: A ``.parquet``, ``.csv``, ``.jsonl`` or ``.json`` file, or a folder of them; a hub data set and a JSON
            array are read at once.
        columns: Our column name -> the source's column name, where they differ.

    Raises:
        DataError: Something cannot be read; the message names the file and, where it is known, the row.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in READERS)
        if not files:
            raise DataError(f"{source}: the folder holds no {', '.join(READERS)} file")
        parts: Iterator[pd.DataFrame] = (named_split(part, file) for file in files for part in _stream_file(file))
    elif path.is_file():
        parts = _stream_file(path)
    else:
        parts = iter([read_table(source)])
    rows = 0
    for part in parts:
        part.index = pd.RangeIndex(rows, rows + len(part))
        rows += len(part)
        yield map_columns(part, source, columns or {})


def _stream_file(path: Path) -> Iterator[pd.DataFrame]:
    try:
        if path.suffix == ".parquet":
            yield from _stream_parquet(path)
        elif path.suffix == ".csv":
            yield from _stream_csv(path)
        elif path.suffix == ".jsonl" or (path.suffix == ".json" and not _is_array(path)):
            yield from _stream_json_lines(path)
        else:
            yield read_table(str(path))
    except (ValueError, OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]}: {error}") from error


def _stream_parquet(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            yield batch.to_pandas()


def _stream_csv(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with path.open(encoding="utf-8-sig", newline="") as lines:
        names = next(csv.reader(lines), [])
    options = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    with arrow_csv.open_csv(path, convert_options=options, parse_options=parsing) as reader:
        for batch in reader:
            yield batch.to_pandas()


def _stream_json_lines(path: Path) -> Iterator[pd.DataFrame]:
    rows: list[Any] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}: {line[:80]!r}") from error
            if len(rows) == _ROWS:
                yield pd.DataFrame(rows)
                rows = []
    if rows:
        yield pd.DataFrame(rows)


def _is_array(path: Path) -> bool:
    with path.open(encoding="utf-8") as lines:
        return lines.read(64).lstrip().startswith("[")
