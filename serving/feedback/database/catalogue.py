"""The models that have answered, by number, and how many ratings each has got."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from .schema import models
from .texts import clean

Key = tuple[str, str, str]
"""Task, model and revision."""


class Catalogue:
    """What one transaction knows of the models; it must be the only one that writes, and `save` in the end.

    Args:
        connection: The transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        rows = connection.execute(select(models)).all()
        self._numbers: dict[Key, int] = {(row.task, row.model, row.revision): row.number for row in rows}
        self._placed: set[int] = set()
        self._places: dict[int, dict[bool, int]] = {row.number: {False: row.ratings, True: row.audits} for row in rows}

    def number(self, task: str, model: str, revision: str) -> int:
        """The number of a revision, which is given one if it has none."""
        key = clean(task), clean(model), clean(revision)
        if (number := self._numbers.get(key)) is None:
            number = self._numbers[key] = max(self._places, default=0) + 1
            self._places[number] = {False: 0, True: 0}
            values = dict(zip(("task", "model", "revision"), key, strict=True))
            self._connection.execute(insert(models).values(number=number, **values, ratings=0, audits=0))
        return number

    def place(self, number: int, *, audit: bool) -> int:
        """The next place in the order of a revision's ratings."""
        places = self._places[number]
        place, places[audit] = places[audit], places[audit] + 1
        self._placed.add(number)
        return place

    def save(self) -> None:
        """Write how many places were given."""
        for number in sorted(self._placed):
            places = self._places[number]
            values = {"ratings": places[False], "audits": places[True]}
            self._connection.execute(update(models).where(models.c.number == number).values(values))
