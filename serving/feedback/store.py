"""The store of feedback. Whatever it is kept in, nobody else speaks SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, select

from .database.changing import Change
from .database.counting import DAY_US
from .database.erasing import erase_some_made, erase_some_said, forget_counts, forget_some
from .database.making import BASE, Opened
from .database.measuring import read_aggregates, read_judgments, read_populations, read_tallies
from .database.reading import Contents, read_contents, read_prediction, read_rows, read_submissions
from .database.schema import about
from .keeping import Aggregate, Judgment, Population, TallyCount, Written
from .records import Entry, Prediction, Submission

COUNTS_DAYS: Final = 400
"""For how long counts are kept at least: they hold no text and nobody's name."""

_MOST_PAUSE_S: Final = 0.25
"""Between two transactions of a long work there is a pause as long as the work, and no longer than this."""


class FeedbackStore:
    """One store: a `serving.feedback.keeping.FeedbackStorage`. All may take seconds: call its methods in a thread.

    Args:
        url: Where it is, as `serving.storage.location.read_url` gives it.
        now: The time of day, in seconds.

    Raises:
        FeedbackError: The library that it needs is not there. All methods raise it too, and `FeedbackAwayError` while
            the store does not answer.
    """

    def __init__(self, url: URL, *, now: Callable[[], float] = time.time) -> None:
        self._opened = Opened(url)
        self._now = now
        self.shown = self._opened.shown

    @property
    def file(self) -> Path | None:
        """Its file; None for a database that is none."""
        return self._opened.file

    @property
    def salt(self) -> str:
        """Random characters of this store, the same for all servers that share it; makes the store if there is none."""
        with self._opened.reading() as connection:
            salt = None if connection is None else connection.execute(select(about.c.salt)).scalar_one_or_none()
        if salt is None:
            with self._opened.writing() as connection:
                salt = connection.execute(select(about.c.salt)).scalar_one()
        return str(salt)

    def write(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep entries in their order, in one transaction; what was kept before is not kept twice."""
        if not entries:
            return ()
        with self._opened.writing() as connection:
            change = Change(connection, self._now_us())
            written = change.write(entries)
        if change.erases:
            self._opened.clear()
        return tuple(written)

    def prediction(self, prediction_id: str) -> Prediction | None:
        """The prediction of an id, without its tallies."""
        with self._opened.reading() as connection:
            return None if connection is None else read_prediction(connection, prediction_id)

    def submissions(self, prediction_id: str) -> Sequence[Submission]:
        """What was said of a prediction, in its order; of very much the latest, and its audit."""
        with self._opened.reading() as connection:
            return () if connection is None else read_submissions(connection, prediction_id)

    def aggregates(self, *, batch: int, since_day: int) -> Sequence[Aggregate]:
        """The ratings that count (of one rater and answer the latest), from a day on, in batches of so many."""
        if batch < 1:
            raise ValueError(f"a batch has at least one rating, not {batch}")
        with self._opened.reading() as connection:
            return () if connection is None else read_aggregates(connection, batch=batch, since_day=since_day)

    def judgments(self, *, since_day: int, limit: int) -> Sequence[Judgment]:
        """Those of answers that several raters have judged, the latest first."""
        with self._opened.reading() as connection:
            return () if connection is None else read_judgments(connection, since_day=since_day, limit=limit)

    def tallies(self, *, since_day: int) -> Sequence[TallyCount]:
        """What was counted towards drift from a day on, summed up over the days."""
        with self._opened.reading() as connection:
            return () if connection is None else read_tallies(connection, since_day)

    def populations(self, *, since_day: int) -> Sequence[Population]:
        """Predictions by day."""
        with self._opened.reading() as connection:
            return () if connection is None else read_populations(connection, since_day)

    def forget(self, days: int) -> int:
        """Forget the predictions that are older, and all that was said of them; returns how many.

        It takes many short transactions, so that nobody who writes waits for it. Counts are kept for `COUNTS_DAYS`.
        """
        if self._opened.version() == BASE:
            return 0
        now_us = self._now_us()
        before_us = now_us - DAY_US * days
        gone = self._until_none(lambda connection: forget_some(connection, before_us, now_us))
        with self._opened.writing() as connection:
            forget_counts(connection, now_us - DAY_US * max(days, COUNTS_DAYS))
        self._opened.clear()
        return gone

    def erase(self, *, key: str | None = None, rater: str | None = None) -> tuple[int, int]:
        """Erase what a key made and said, or what a rater said.

        Args:
            key: All predictions that were made with it, and all that was said with it.
            rater: All that he said; with a key too, only what he said with it, and no predictions.

        Returns:
            How many predictions were erased, and how many submissions beside those of them.
        """
        if self._opened.version() == BASE:
            return 0, 0
        predictions = 0
        if key is not None and rater is None:
            predictions = self._until_none(lambda connection: erase_some_made(connection, key, self._now_us()))
        submissions = self._until_none(lambda connection: erase_some_said(connection, key, rater))
        self._opened.clear()
        return predictions, submissions

    def contents(self) -> Contents:
        """How much is kept."""
        with self._opened.reading() as connection:
            return Contents() if connection is None else read_contents(connection)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each rating that counts, with its prediction, for exports: all as they are at one moment."""
        with self._opened.reading(snapshot=True) as connection:
            if connection is not None:
                yield from read_rows(connection)

    def version(self) -> str:
        """The version of its tables; ``base`` where there are none."""
        return self._opened.version()

    def migrate(self, version: str | None = None) -> tuple[str, str]:
        """Bring its tables to a version, up or down; returns the version before, and now.

        Args:
            version: None for the newest; ``base`` drops them all.

        Raises:
            FeedbackError: There is no such version, or the tables have one that this program does not know.
        """
        change = self._opened.migrate(version)
        self._opened.clear()
        return change

    def close(self) -> None:
        """Leave it."""
        self._opened.close()

    def _until_none(self, some: Callable[[Connection], int]) -> int:
        """Do something piece by piece, each in a transaction, until nothing is left; returns how much there was."""
        whole = 0
        while True:
            begun_s = time.monotonic()
            with self._opened.writing() as connection:
                count = some(connection)
            whole += count
            if not count:
                return whole
            time.sleep(min(time.monotonic() - begun_s, _MOST_PAUSE_S))  # those who write have their turns

    def _now_us(self) -> int:
        return int(1e6 * self._now())
