"""Read a table: parquet, CSV, JSON lines, a JSON array, a folder of such files, or a hub data set.

A table is read part by part, so that a file larger than the memory can be checked and prepared; `read_table` puts the
parts together. Every command reads through here, so a cell means the same to all of them: cells of a CSV are texts or
missing, those of the other formats are as they were written.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from training.errors import DataError

from .schema import SPLIT_NAMES

_ROWS: Final = 4096
"""Rows of a part."""


def read_parts(source: str, columns: Mapping[str, str] | None = None) -> Iterator[pd.DataFrame]:
    """The rows of a source in parts whose index counts the rows from 0, with its columns renamed to ours.

    Args:
        source: A ``.parquet``, ``.csv``, ``.jsonl`` or ``.json`` file, a folder of such files, or a hub data set id,
            with ``:CONFIGURATION`` behind it where it has several. JSON arrays and hub data sets are read at once.
            The files of a folder may be named by their split, as ``train.csv`` and ``test-0000.parquet`` are.
        columns: Our column name -> the source's column name, where they differ.

    Raises:
        DataError: Nothing is there, it has no rows, it cannot be read, or it lacks one of ``columns``; the message
            names the file and, where it is known, the row.
    """
    rows = 0
    split_known: bool | None = None
    for place, part in _parts(source):
        frame = _map_columns(part, source, columns or {})
        if split_known not in (None, "split" in frame):
            raise DataError(
                f"{place}: some rows say their split, in a column or by the name of their file, and some not"
            )
        split_known = "split" in frame
        frame.index = pd.RangeIndex(rows, rows + len(frame))
        rows += len(frame)
        yield frame
    if not rows:
        raise DataError(f"{source}: has no rows")


def read_table(source: str, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """All parts of a source as one table (see `read_parts`).

    Raises:
        DataError: As `read_parts` does.
    """
    return pd.concat(list(read_parts(source, columns)))


def _parts(source: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The parts of a source as they are, each with the file that it stands in."""
    path = Path(source)
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in _READERS)
        if not files:
            raise DataError(f"{source}: the folder holds no {', '.join(_READERS)} file")
        for file in files:
            yield from ((str(file), _named_split(part, file)) for part in _file_parts(file))
    elif path.is_file():
        yield from ((source, part) for part in _file_parts(path))
    elif path.suffix in _READERS or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(f"{source}: no such file or folder")
    else:
        yield source, _read_hub(source)


def _file_parts(path: Path) -> Iterator[pd.DataFrame]:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"{path}: the kind of file is told by its ending: {', '.join(_READERS)}")
    try:
        yield from reader(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]}: {error}") from error


def _parquet_parts(path: Path) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS):
            yield batch.to_pandas()


def _csv_parts(path: Path) -> Iterator[pd.DataFrame]:
    # As texts: guessed from a part alone, the type of a column would change from part to part.
    with pd.read_csv(path, dtype=str, chunksize=_ROWS) as parts:
        yield from parts


def _json_line_parts(path: Path) -> Iterator[pd.DataFrame]:
    with path.open(encoding="utf-8") as lines:
        numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        while rows := [_json_line(number, line) for number, line in itertools.islice(numbered, _ROWS)]:
            yield pd.DataFrame(rows)


def _json_line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}: {line[:80]!r}") from error


def _json_parts(path: Path) -> Iterator[pd.DataFrame]:
    with path.open(encoding="utf-8") as text:
        is_array = text.read(64).lstrip().startswith("[")
    if is_array:
        yield pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
    else:
        yield from _json_line_parts(path)


_READERS: Final[dict[str, Callable[[Path], Iterator[pd.DataFrame]]]] = {
    ".parquet": _parquet_parts,
    ".csv": _csv_parts,
    ".jsonl": _json_line_parts,
    ".json": _json_parts,
}


def _named_split(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the split that a file of a folder is named by."""
    name = path.stem.lower().replace("_", "-").split("-")[0]
    if "split" not in frame and name in SPLIT_NAMES:
        frame["split"] = SPLIT_NAMES[name]
    return frame


def _read_hub(name: str) -> pd.DataFrame:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(
            f"{name}: no such file or folder, and hub data sets need the package 'datasets' (pip install datasets)"
        ) from error
    identifier, _, configuration = name.partition(":")
    try:
        parts = load_dataset(identifier, configuration or None)
    except Exception as error:  # the hub's client raises what its transports raise
        raise DataError(f"{name}: neither a file here nor a data set that the hub gives: {error}") from error
    frames = []
    for split, part in parts.items():
        frame = with_class_names(part)
        frame["split"] = split
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def with_class_names(part: Any) -> pd.DataFrame:
    """A ``datasets.Dataset`` as a table, with the names of its classes where it holds their numbers; -1 is none."""
    from datasets import ClassLabel

    frame: pd.DataFrame = part.to_pandas()
    for column, kind in part.features.items():
        if isinstance(kind, ClassLabel):
            frame[column] = [kind.names[number] if number >= 0 else None for number in frame[column]]
    return frame


def _map_columns(frame: pd.DataFrame, source: str, columns: Mapping[str, str]) -> pd.DataFrame:
    for ours, theirs in columns.items():
        if theirs not in frame:
            raise DataError(f"{source}: no column {theirs!r} to read as {ours!r}; it has: {', '.join(map(str, frame))}")
    frame = frame.drop(columns=[ours for ours, theirs in columns.items() if ours in frame and ours != theirs])
    return frame.rename(columns={theirs: ours for ours, theirs in columns.items()})
