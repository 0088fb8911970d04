"""Read a table: a file, a folder of files, or a hub data set.

A table is read part by part, so that a file larger than the memory can be checked and prepared; `read_table` puts the
parts together. Every command reads through here, so encodings, layouts and cells mean the same to all of them; what
kinds of files there are stands in `files.formats`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from training.errors import DataError

from .files.cells import shown_columns
from .files.formats import ENDINGS, file_parts, kind_of
from .schema import SPLIT_NAMES

logger = logging.getLogger(__name__)

_LEADING_WORD: Final = re.compile(r"[a-z]+(?![a-z])")


def read_parts(source: str, columns: Mapping[str, str] | None = None, encoding: str = "") -> Iterator[pd.DataFrame]:
    """The rows of a source in parts whose index counts the rows from 0, with its columns renamed to ours.

    Args:
        source: A file of one of `files.formats.READERS`, a folder of such files, or a hub data set id, with
            ``:CONFIGURATION`` behind it where it has several. JSON arrays and hub data sets are read at once.
            The files of a folder may be named by their split, as ``train.csv`` and ``test-0000.parquet`` are.
        columns: Our column name -> the source's column name, where they differ.
        encoding: How text files are written; empty: what their first bytes say, else UTF-8.

    Raises:
        DataError: Nothing is there, it has no rows, it cannot be read, or it lacks one of ``columns``; the message
            names the file and, where it is known, the row.
    """
    rows = 0
    first: tuple[str, bool] | None = None
    for place, part in _parts(source, encoding):
        frame = _map_columns(part, source, columns or {})
        said = "split" in frame
        first = first or (place, said)
        if said != first[1]:
            known, unknown = (place, first[0]) if said else (first[0], place)
            raise DataError(
                f"{place}: some rows say their split, in a column or by the name of their file, and some not: those of "
                f"{known} do, those of {unknown} do not. Name each file of a folder by its split (train.csv, "
                "validation.csv, test.csv), or none; `python -m training data prepare` gives a table without "
                "splits a column of them"
            )
        frame.index = pd.RangeIndex(rows, rows + len(frame))
        rows += len(frame)
        yield frame
    if not rows:
        raise DataError(f"{source}: has no rows")


def read_table(source: str, columns: Mapping[str, str] | None = None, encoding: str = "") -> pd.DataFrame:
    """All parts of a source as one table (see `read_parts`).

    Raises:
        DataError: As `read_parts` does.
    """
    return pd.concat(list(read_parts(source, columns, encoding)))


def warn_of_others(source: str) -> None:
    """Name in the log what a folder holds beside the files that are read as its table; of no folder there is nothing.

    Apart from `read_parts`, since a table is read several times.
    """
    path = Path(source)
    others = sorted(child.name for child in path.iterdir() if not _is_table(child)) if path.is_dir() else []
    if others:
        logger.warning("%s: not read, for tables end in %s: %s", source, ENDINGS, shown_columns(others))


def _is_table(child: Path) -> bool:
    # Hidden files are no tables, whatever their ending: some systems leave one beside each file.
    return bool(kind_of(child)) and child.is_file() and not child.name.startswith(".")


def _parts(source: str, encoding: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The parts of a source as they are, each with the file that it stands in."""
    path = Path(source)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        files = sorted(child for child in path.iterdir() if _is_table(child)) if is_folder else []
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from error
    if is_folder:
        if not files:
            raise DataError(f"{source}: the folder holds no {ENDINGS} file")
        for file in files:
            yield from ((str(file), _named_split(part, file)) for part in file_parts(file, encoding))
    elif is_file:
        yield from ((source, part) for part in file_parts(path, encoding))
    elif kind_of(path) or source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise DataError(f"{source}: no such file or folder")
    else:
        yield source, _read_hub(source)


def _named_split(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Add the split that a file of a folder is named by."""
    word = _LEADING_WORD.match(path.name.lower())
    if "split" not in frame and word and word[0] in SPLIT_NAMES:
        frame["split"] = SPLIT_NAMES[word[0]]
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
            # Missing numbers make a column of floats.
            frame[column] = [kind.names[int(number)] if number >= 0 else None for number in frame[column].fillna(-1)]
    return frame


def _map_columns(frame: pd.DataFrame, source: str, columns: Mapping[str, str]) -> pd.DataFrame:
    for ours, theirs in columns.items():
        if theirs not in frame:
            raise DataError(f"{source}: no column {theirs!r} to read as {ours!r}; it has: {shown_columns(frame)}")
    frame = frame.drop(columns=[ours for ours, theirs in columns.items() if ours in frame and ours != theirs])
    return frame.rename(columns={theirs: ours for ours, theirs in columns.items()})
