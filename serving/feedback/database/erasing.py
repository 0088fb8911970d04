"""Deletes what is old or is to be erased, some of it in each transaction."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, select

from .changing import AT_ONCE, WAITING_US
from .counting import DAY_US
from .schema import erased, populations, predictions, submissions, tallies
from .texts import clean


def forget_some(connection: Connection, before_us: int, now_us: int) -> int:
    """Delete some of the predictions that were made before a time, and submissions that have waited too long.

    Returns:
        How many predictions; 0 once none is left.
    """
    late = (submissions.c.awaited.is_not(None), submissions.c.awaited_since_us <= now_us - WAITING_US)
    connection.execute(delete(submissions).where(*late))
    return _delete_some(connection, predictions, predictions.c.made_us < before_us)


def forget_counts(connection: Connection, before_us: int) -> None:
    """Delete what was counted, and which predictions were erased, before a time."""
    day = before_us // DAY_US
    connection.execute(delete(tallies).where(tallies.c.day < day))
    connection.execute(delete(populations).where(populations.c.day < day))
    connection.execute(delete(erased).where(erased.c.erased_us < before_us))


def erase_some_made(connection: Connection, key: str, now_us: int) -> int:
    """Erase some of the predictions that were made with a key; returns how many, 0 once none is left."""
    c = predictions.c
    names = connection.execute(select(c.id).where(c.key == clean(key)).limit(AT_ONCE)).scalars().all()
    if names:
        connection.execute(delete(predictions).where(c.id.in_(names)))
        connection.execute(insert(erased), [{"id": name, "erased_us": now_us} for name in names])
    return len(names)


def erase_some_said(connection: Connection, key: str | None, rater: str | None) -> int:
    """Delete some of what was said with a key or by a rater; returns how many submissions, 0 once none is left."""
    c = submissions.c
    given = [column == clean(value) for column, value in ((c.key, key), (c.rater, rater)) if value is not None]
    if not given:
        raise ValueError("whose submissions are erased is said by a key, a rater, or both")
    return _delete_some(connection, submissions, *given)


def _delete_some(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    some = select(table.c.number).where(*conditions).limit(AT_ONCE)
    return connection.execute(delete(table).where(table.c.number.in_(some))).rowcount
