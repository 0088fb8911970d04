"""Exports as a file of SQLite, for Datasette and other programs that look at one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from .columns import COLUMNS, Kind, Row

_TYPES: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "INTEGER",
    Kind.NUMBER: "REAL",
    Kind.FLAG: "INTEGER",
}
_OF_PREDICTIONS: Final = ("made", "key", "words", "text_sha256", "title", "text")
_OF_MODELS: Final = ("task", "model", "revision")
_OF_RATINGS: Final = tuple(name for name in COLUMNS if name not in ("prediction", *_OF_PREDICTIONS, *_OF_MODELS))
_ROWS_AT_ONCE: Final = 1000


def write_sqlite(rows: Iterable[Row], file: Path) -> None:
    """Write tables of predictions, models and ratings, and a view `feedback` that has a row as the other formats do."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")  # whoever is interrupted has no file at all
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for statement in _tables():
            connection.execute(statement)
        models: dict[tuple[Any, ...], int] = {}
        prediction = _insert("predictions", ("id", *_OF_PREDICTIONS), "OR IGNORE ")
        rating = _insert("ratings", ("prediction", "model", *_OF_RATINGS))
        for number, row in enumerate(rows):
            model = tuple(row[name] for name in _OF_MODELS)
            if model not in models:
                models[model] = len(models) + 1
                connection.execute(_insert("models", ("id", *_OF_MODELS)), (models[model], *model))
            connection.execute(prediction, (row["prediction"], *(row[name] for name in _OF_PREDICTIONS)))
            connection.execute(rating, (row["prediction"], models[model], *(row[name] for name in _OF_RATINGS)))
            if number % _ROWS_AT_ONCE == _ROWS_AT_ONCE - 1:
                connection.execute("COMMIT")
                connection.execute("BEGIN")
        for name in ("prediction", "model"):
            connection.execute(f"CREATE INDEX ratings_by_{name} ON ratings ({name})")
        connection.execute("COMMIT")
        connection.execute("PRAGMA optimize")


def _tables() -> Iterable[str]:
    yield f"CREATE TABLE models (id INTEGER PRIMARY KEY, {_typed(_OF_MODELS)})"
    yield f"CREATE TABLE predictions (id TEXT PRIMARY KEY, {_typed(_OF_PREDICTIONS)})"
    yield (
        "CREATE TABLE ratings (id INTEGER PRIMARY KEY, prediction TEXT NOT NULL REFERENCES predictions (id), "
        f"model INTEGER NOT NULL REFERENCES models (id), {_typed(_OF_RATINGS)})"
    )
    of = {
        "prediction": "predictions.id",
        **{name: f'predictions."{name}"' for name in _OF_PREDICTIONS},
        **{name: f'models."{name}"' for name in _OF_MODELS},
        **{name: f'ratings."{name}"' for name in _OF_RATINGS},
    }
    columns = ", ".join(f'{of[name]} AS "{name}"' for name in COLUMNS)
    yield (
        f"CREATE VIEW feedback AS SELECT {columns} FROM ratings "  # noqa: S608 - names of ours alone
        "JOIN predictions ON predictions.id = ratings.prediction JOIN models ON models.id = ratings.model"
    )


def _typed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}" {_TYPES[COLUMNS[name]]}' for name in names)


def _insert(table: str, names: tuple[str, ...], more: str = "") -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    return f"INSERT {more}INTO {table} ({columns}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
