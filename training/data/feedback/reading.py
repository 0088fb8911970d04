"""Read exports of ``python -m serving feedback export``: a rating a row, as CSV, JSON lines, parquet or SQLite."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from infolens.tables.safety import is_formula
from training.data.files.cells import label_text, shown_columns, shown_value
from training.data.files.formats import ENDINGS, file_parts, kind_of
from training.errors import DataError

SQLITE: Final = (".sqlite", ".sqlite3", ".db")
COLUMNS: Final = (
    *("prediction", "task", "model", "revision", "label", "output_text", "stars", "better", "right", "right_label"),
    *("rater", "key", "consent", "audit", "rated", "text_sha256", "title", "text"),
)
"""The columns of an export that are read; it has more."""
_MAX_STARS: Final = 5
_INNER: Final = re.compile(r"([;\t][ \t]{0,8})'(?=[=+\-@])")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False, "": None}
_PART_ROWS: Final = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Rated:
    """What one person says of one answer."""

    prediction: str = field(repr=False)
    """The id of the answer."""
    task: str
    model: str
    revision: str
    """The model that answered, by the first digits of its hash."""
    label: str
    """What it answered; empty for a text."""
    output_text: str = field(repr=False)
    """Its text; empty for a label."""
    stars: int | None
    """1 to 5, of a text."""
    better: str = field(repr=False)
    """A better text; empty where the person wrote none."""
    right: bool | None
    """Whether the label is right."""
    right_label: str
    """The right label; empty where the person named none."""
    rater: str
    key: str
    """Who says so: the name that the caller gave, and the name of the caller's key."""
    consent: bool
    """Whether it may be learned from."""
    audit: bool
    """Whether it was said before the answer was shown."""
    rated: str
    """When, in ISO 8601."""
    title: str = field(repr=False)
    text: str = field(repr=False)
    """The article; empty where the server kept no texts."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells ratings apart: of one person's of an answer at one time there is one."""
        return self.prediction, self.task, self.key, self.rater, self.rated, self.audit


def read_export(file: Path) -> Iterator[Rated]:
    """The ratings of an export, of all tasks.

    Raises:
        DataError: It cannot be read, lacks a column, or has a value that is none; the message names the row.
    """
    kind = file.suffix.lower()
    if not file.is_file():
        raise DataError(f"{file}: no such file; `python -m serving feedback export --out FILE` writes one")
    if kind in SQLITE:
        rows: Iterable[Mapping[str, Any]] = _sqlite_rows(file)
    elif kind_of(file):
        rows = _table_rows(file)
    else:
        raise DataError(f"{file}: the kind of file is told by its ending: {ENDINGS}, {', '.join(SQLITE)}")
    restored = _restored if kind_of(file) in (".csv", ".tsv") else _as_it_is
    for number, row in enumerate(rows, start=1):
        try:
            yield _rated(row, restored)
        except ValueError as error:
            raise DataError(f"{file}: row {number}: {error}") from error


def _table_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    for part in file_parts(file):
        if missing := [name for name in COLUMNS if name not in part]:
            raise DataError(
                f"{file}: is no export of feedback, since it has no column {missing[0]!r}; it has: "
                f"{shown_columns(part)}. `python -m serving feedback export --out FILE` writes one"
            )
        columns = [part[name].tolist() for name in COLUMNS]
        yield from (dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns, strict=True))


def _sqlite_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as base:
            named = base.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            for (name,) in named.fetchall():
                quoted = '"' + name.replace('"', '""') + '"'
                cells = base.execute(f"SELECT * FROM {quoted} LIMIT 0").description  # noqa: S608 - quoted above
                if {cell[0] for cell in cells}.issuperset(COLUMNS):
                    found = base.execute(f"SELECT {', '.join(map(_quoted, COLUMNS))} FROM {quoted}")  # noqa: S608
                    while rows := found.fetchmany(_PART_ROWS):
                        yield from (dict(zip(COLUMNS, row, strict=True)) for row in rows)
                    return
    except sqlite3.Error as error:
        raise DataError(f"{file}: cannot be read as SQLite: {error}") from error
    raise DataError(
        f"{file}: is no export of feedback: none of its tables and views has the columns {', '.join(COLUMNS)}. "
        "`python -m serving feedback export --out FILE` writes one"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


def _rated(row: Mapping[str, Any], restored: Callable[[str], str]) -> Rated:
    told = {name: _text(row[name]) for name in ("prediction", "task", "model", "revision", "rater", "key", "rated")}
    said = {name: restored(_text(row[name])) for name in ("label", "output_text", "better", "right_label", "title")}
    text, digest = _text(row["text"]), _text(row["text_sha256"])
    if text and digest and _sha256(text) != digest and _sha256(restored(text)) == digest:
        text = restored(text)
    return Rated(
        **told,
        **said,
        text=text,
        stars=_stars(row["stars"]),
        right=_flag("right", row["right"]),
        consent=bool(_flag("consent", row["consent"])),
        audit=bool(_flag("audit", row["audit"])),
    )


def _text(value: Any) -> str:
    missing = value is None or value != value  # pandas has nan for an empty cell
    return "" if missing else value if isinstance(value, str) else str(value)


def _stars(value: Any) -> int | None:
    text = "" if value is None or value != value else label_text(value)
    if not text:
        return None
    stars = int(float(text)) if re.fullmatch(r"\d(\.0+)?", text) else 0
    if not 1 <= stars <= _MAX_STARS:
        raise ValueError(f"stars is a whole number from 1 to {_MAX_STARS} or empty, not {shown_value(value)}")
    return stars


def _flag(name: str, value: Any) -> bool | None:
    text = "" if value is None or value != value else label_text(value).lower()
    if text not in _FLAGS:
        raise ValueError(f"{name} is true, false or empty, not {shown_value(value)}")
    return _FLAGS[text]


def _restored(text: str) -> str:
    """A cell of a CSV without the apostrophes that keep spreadsheets from taking it for a formula."""
    text = text[1:] if text.startswith("'") and is_formula(text[1:]) else text
    return _INNER.sub(r"\1", text)


def _as_it_is(text: str) -> str:
    return text


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
