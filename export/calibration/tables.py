"""The articles that a classifier is calibrated on: tables with text, title, label and source."""

from __future__ import annotations

import hashlib
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
    """The collection that an article is from. Need not be there: then the file is the collection."""


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
    """Read the articles of some tables; of articles with the same text the first counts.

    Args:
        files: Parquet, CSV, or JSON (lines or a list of records), told by their names.
        labels: The labels of the model; None where they are not known yet.
        columns: The names of their columns.
        sources: The collections that are taken; empty for all.
        without: The collections that are not taken.
        split: The rows that are taken of all, by the column ``split``; empty for all.

    Raises:
        TableError: A table cannot be read, lacks a column, or has a label that the model does not tell; there are no
            articles, or none of a collection.
    """
    rows: dict[str, Row] = {}
    for file in files:
        for row in _rows(file, columns, split):
            rows.setdefault(row.text, row)
    wanted = {row.source for row in rows.values()} if not sources else set(sources)
    taken = tuple(row for row in rows.values() if row.source in wanted.difference(without))
    if missing := sorted(set(sources) - {row.source for row in taken}):
        found = ", ".join(sorted({row.source for row in rows.values()}))
        raise TableError(f"no article is of the collection {missing[0]!r}: the tables have {found or 'none'}")
    if labels is not None and (unknown := sorted({row.label for row in taken} - set(labels))):
        raise TableError(
            f"the tables have labels that the model does not tell: {', '.join(unknown)}; it tells {', '.join(labels)}. "
            "Rename them, or leave their rows out"
        )
    if not taken:
        raise TableError(f"{', '.join(map(str, files))}: no row has both a text and a label")
    return taken


def _rows(file: Path, columns: Columns, split: str = "") -> list[Row]:
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise TableError(f"{file}: a table's name ends in {', '.join(_READERS)}")
    try:
        frame = read(file)
    except (OSError, ValueError) as error:  # pandas and pyarrow raise kinds of these two
        raise TableError(f"{file} cannot be read as a table: {error}") from error
    for option, name in (("--text-column", columns.text), ("--label-column", columns.label)):
        if name not in frame:
            raise TableError(f"{file} has no column {name!r}; it has {', '.join(map(str, frame))}: see {option}")
    if split:
        if _SPLIT not in frame:
            raise TableError(f"{file} has no column {_SPLIT!r}, by which the rows {split!r} were to be taken")
        frame = frame[frame[_SPLIT] == split]
    frame = frame.dropna(subset=[columns.text, columns.label])
    titles = frame[columns.title] if columns.title in frame else [None] * len(frame)
    sources = frame[columns.source] if columns.source in frame else [file.stem] * len(frame)
    rows = zip(frame[columns.text], titles, frame[columns.label], sources, strict=True)
    return [
        Row(
            text=str(text),
            title=title if isinstance(title, str) and title.strip() else None,
            label=str(label).strip(),
            source=str(source),
        )
        for text, title, label, source in rows
        if str(text).strip()
    ]
