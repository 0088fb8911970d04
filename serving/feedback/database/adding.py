"""Counts up many rows with one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite


def add(connection: Connection, table: Table, counts: Counter[Any]) -> None:
    """Add to the last column of a table.

    Args:
        connection: A transaction.
        table: Its other columns are its primary key.
        counts: How much is added, by the values of the key in the order of the columns.
    """
    if counts:
        _WAYS[connection.dialect.name](connection, table, [(*key, count) for key, count in sorted(counts.items())])


def _sqlite(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    columns = list(table.columns)
    made = sqlite.insert(table)
    counted = {columns[-1].name: columns[-1] + made.excluded[columns[-1].name]}
    names = [column.name for column in columns]
    given = [dict(zip(names, row, strict=True)) for row in rows]
    connection.execute(made.on_conflict_do_update(index_elements=names[:-1], set_=counted), given)


def _postgresql(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """The rows go as one array for each column, so that one statement does for all of them."""
    columns: list[Column[Any]] = list(table.columns)
    arrays = [
        func.unnest(cast(list(values), postgresql.ARRAY(column.type.dialect_impl(connection.dialect))))
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    names = [column.name for column in columns]
    made = postgresql.insert(table).from_select(names, select(*arrays))
    counted = {names[-1]: columns[-1] + made.excluded[names[-1]]}
    connection.execute(made.on_conflict_do_update(index_elements=names[:-1], set_=counted))


_WAYS: Final[Mapping[str, Callable[[Connection, Table, list[tuple[Any, ...]]], None]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
