"""The articles that a classifier is calibrated on: tables with text, title, label and source."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from export.errors import TableError

_READERS: Final[dict[str, Any]] = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
    ".json": pd.read_json,
}
_SPLIT: Final = "split"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns of a table."""

    text: str = "text"
    label: str = "label"
    title: str = "title"
    """Need not be there."""
    source: str = "source"
    """The collection that an article is from. Need not be there, or be empty in a row: then the file is the collection.
    """


@dataclass(frozen=True, kw_only=True)
class Row:
    """An article whose label is known."""

    text: str
    title: str | None
    label: str
    source: str

    @property
    def fits(self) -> bool:
        """Whether the article belongs to the half that is fitted on; the figures are those of the other half.

        A hash of the text decides, so that an article that occurs twice is in one half only.
        """
        return hashlib.sha256(self.text.encode()).digest()[0] % 2 == 0


def read_rows(
    files: Sequence[Path],
    labels: Sequence[str] | None,
    *,
    columns: Columns,
    sources: Sequence[str] = (),
    without: Collection[str] = (),
    split: str = "",
) -> tuple[Row, ...]:
    """Read the articles of some tables; of those that are taken and have the same text the first counts.

    Args:
        files: Parquet, CSV, or JSON (lines or a list of records), told by their names.
        labels: The labels of the model; None where they are not known yet.
        columns: The names of their columns.
        sources: The collections that are taken; empty for all.
        without: The collections that are not taken.
        split: The rows that are taken of all, by the column ``split``; empty for all.

    Raises:
        TableError: A table cannot be read, lacks a column, or has a label that the model does not tell; there are no
            articles, or none of a collection, or all are of collections that are not taken.
    """
    paths = {file.resolve(): file for file in files}
    stems = Counter(file.stem for file in paths.values())
    names = {file: file.stem if stems[file.stem] == 1 else str(file) for file in paths.values()}
    rows = [row for file, name in names.items() for row in _rows(file, columns, name, split)]
    found = {row.source for row in rows}
    wanted = set(map(_one_line, sources)) or found
    if missing := sorted(wanted - found):
        told = ", ".join(sorted(found)) or "none"
        raise TableError(f"no article is of the collection {missing[0]!r}: the tables have {told}")
    first: dict[str, Row] = {}
    for row in rows:
        if row.source in wanted.difference(without):
            first.setdefault(row.text, row)
    taken = tuple(first.values())
    if labels is not None and (unknown := sorted({row.label for row in taken} - set(labels))):
        raise TableError(
            f"the tables have labels that the model does not tell: {', '.join(unknown)}; it tells {', '.join(labels)}. "
            "Rename them, or leave their rows out"
        )
    if not taken and rows:
        raise TableError(
            f"{', '.join(map(str, files))}: every article is of a collection that is left out here "
            f"({', '.join(sorted(found))}): give a table of others"
        )
    if not taken:
        where = f" among those of the split {split!r}" if split else ""
        raise TableError(f"{', '.join(map(str, files))}: no row{where} has both a text and a label")
    return taken


def _one_line(source: str) -> str:
    """The name of a collection: blanks around it, or more of them within, make no other one."""
    return " ".join(source.split())


def _rows(file: Path, columns: Columns, collection: str, split: str) -> list[Row]:
    """The articles of a table, which is the collection of that name where it tells of none."""
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise TableError(f"{file}: a table's name ends in {', '.join(_READERS)}")
    try:
        frame = read(file)
    except (OSError, ValueError) as error:  # pandas and pyarrow raise kinds of these two
        raise TableError(f"{file} cannot be read as a table: {error}") from error
    for option, name in (("--text-column", columns.text), ("--label-column", columns.label)):
        if name not in frame:
            raise TableError(
                f"{file} has no column {name!r}; it has {', '.join(map(str, frame)) or 'none'}: see {option}"
            )
    if split:
        if _SPLIT not in frame:
            raise TableError(f"{file} has no column {_SPLIT!r}, by which the rows {split!r} were to be taken")
        frame = frame[frame[_SPLIT] == split]
    frame = frame.dropna(subset=[columns.text, columns.label])
    titles = frame[columns.title] if columns.title in frame else [None] * len(frame)
    sources = frame[columns.source].astype(object).fillna("") if columns.source in frame else [collection] * len(frame)
    rows = zip(frame[columns.text], titles, frame[columns.label], sources, strict=True)
    return [
        Row(
            text=str(text),
            title=title if isinstance(title, str) and title.strip() else None,
            label=str(label).strip(),
            source=_one_line(str(source)) or collection,
        )
        for text, title, label, source in rows
        if str(text).strip() and str(label).strip()
    ]
