"""Exports as parquet, where pyarrow is installed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from serving.errors import FeedbackError

from .columns import COLUMNS, Kind, Row

_GROUP_ROWS: Final = 1000
"""Rows that are in memory at once, and stand in one row group."""


def check_parquet() -> None:
    """Look whether parquet can be written.

    Raises:
        FeedbackError: pyarrow is not installed.
    """
    _library()


def write_parquet(rows: Iterable[Row], file: Path) -> None:
    """Write parquet, in row groups of `_GROUP_ROWS`.

    Raises:
        FeedbackError: pyarrow is not installed.
    """
    arrow, parquet = _library()
    types = {
        Kind.TEXT: arrow.string(),
        Kind.INTEGER: arrow.int64(),
        Kind.NUMBER: arrow.float64(),
        Kind.FLAG: arrow.bool_(),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    rest = iter(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(itertools.islice(rest, _GROUP_ROWS)):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema))


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise FeedbackError(
            "parquet needs the library pyarrow, which is not here: .venv/bin/python -m pip install pyarrow; or export "
            "with --format jsonl, which needs nothing"
        ) from None
    return pyarrow, parquet
