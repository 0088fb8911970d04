"""Opens a database of feedback: makes its tables or brings them up to date, one transaction at a time that writes.

A file of SQLite has a log beside it (WAL), so that reading never waits for writing; every commit is on the disk before
it is acknowledged. In PostgreSQL those who write take one lock, as they do in SQLite by themselves: ids, places and
counts are then given without gaps or conflicts, whoever else writes.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, event, inspect, select, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serving.errors import FeedbackAwayError, FeedbackError
from serving.feedback.location import KEPT
from serving.storage.database import Database

from .schema import HEAD, VERSIONS, about

BASE: Final = "base"
"""The version of a database without any tables."""
_HELD: Final = 3
"""Connections that stay open: one writes, others read."""
_LOCK: Final = 0x696E666F6C656E73
"""The number of the lock in PostgreSQL, by which those who write wait for each other."""
_ROW: Final = 1
"""The number of the one row in which the store tells about itself."""
_CACHE: Final = "cache_size = -16384"
"""SQLite's pages in memory for each connection, in KiB: ids are random, and so are the pages that a write touches."""
_LOG_S: Final = 2.0
"""How long it is tried to have SQLite write a log."""
_MIGRATION_S: Final = 600
"""How long a change of the tables may take in PostgreSQL."""


class Opened:
    """One database.

    Args:
        url: Where it is, as `serving.storage.location.read_url` gives it.

    Attributes:
        shown: Where it is, as people may read it.

    Raises:
        FeedbackError: The library that it needs is not there. All methods raise it too, and `FeedbackAwayError` while
            the database does not answer.
    """

    def __init__(self, url: URL) -> None:
        self._database = Database(KEPT, url, held=_HELD)
        self.shown = self._database.shown
        self._engine = self._database.engine
        self._changing = self._engine.execution_options(infolens_writes=True)
        self._is_new = True
        """Whether the version of the tables is to be looked at."""
        if (file := self._database.file) is not None:
            _listen(self._engine, file)

    def close(self) -> None:
        """Leave it."""
        self._engine.dispose()

    @property
    def file(self) -> Path | None:
        """Its file; None for a database that is none."""
        return self._database.file

    def version(self) -> str:
        """The version of its tables; `BASE` where there are none. It changes nothing."""
        with self._told():
            if self._database.missing:
                return BASE
            with self._engine.connect() as connection:
                return _version(connection)

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Connection | None]:
        """A connection to read by; None where nothing was ever kept, and nothing is made by the look.

        Args:
            snapshot: Whether all that is read is of the same moment.
        """
        with self._told():
            if self._database.missing:
                yield None
                return
            if self._is_new and not self._prepared():
                yield None
                return
            with self._engine.connect() as connection:
                if snapshot and self._database.file is None:
                    connection = connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes, in tables that are made if they are not there. Only one runs at a time."""
        with self._told():
            if self._is_new or self._database.missing:
                self._migrate(HEAD)
            with self._changing.begin() as connection:
                self._alone(connection)
                yield connection

    def clear(self) -> None:
        """Have SQLite's log hold nothing of what was erased; where somebody reads now, the next call does it."""
        if self._database.file is None:
            return
        with self._told(), suppress(DBAPIError), self._engine.connect() as connection:
            driver = connection.connection.driver_connection
            if driver is not None:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def migrate(self, version: str | None = None) -> tuple[str, str]:
        """Bring the tables to a version, up or down; returns the version before, and now.

        Args:
            version: None for the newest; `BASE` drops them all.

        Raises:
            FeedbackError: There is no such version, or the database has one that this program does not know.
        """
        with self._told():
            return self._migrate(HEAD if version is None else version)

    def _migrate(self, version: str) -> tuple[str, str]:
        from .migrating import migrate  # Alembic is loaded where there is something to change

        self._database.make_file()
        with self._changing.begin() as connection:
            if self._database.file is None:
                connection.execute(text(f"SET LOCAL statement_timeout = '{_MIGRATION_S}s'"))
            self._alone(connection)  # of several servers that start at once one does it
            before = _version(connection)
            if before != version:
                self._check(before)
                try:
                    migrate(connection, before, version)
                except ValueError as error:
                    raise FeedbackError(str(error)) from None
            if version != BASE and connection.execute(select(about.c.id)).first() is None:
                connection.execute(about.insert().values(id=_ROW, salt=secrets.token_urlsafe(16)))
        self._is_new = version != HEAD
        return before, version

    def _prepared(self) -> bool:
        """Whether there are tables; older ones are brought up to date."""
        with self._engine.connect() as connection:
            version = _version(connection)
        self._check(version)
        if version not in (BASE, HEAD):
            self._migrate(HEAD)
        self._is_new = version == BASE
        return not self._is_new

    def _check(self, version: str) -> None:
        if version in (BASE, HEAD):
            return
        from .migrating import known

        if version not in known():
            raise FeedbackError(
                f"the ratings in {self.shown} are kept in version {version:.40}, and this server knows versions up to "
                f"{HEAD}: run the version of Info Lens that made them, or name another store with {KEPT.option}"
            )

    def _alone(self, connection: Connection) -> None:
        if self._database.file is None:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._database.told():
                try:
                    yield
                except DBAPIError:
                    self._is_new = True  # it may be that the tables have gone
                    raise
        except PoolTimeoutError:
            raise FeedbackAwayError(f"the ratings in {self.shown} cannot be had now (too much is asked)") from None


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table(VERSIONS):
        return BASE
    row = connection.execute(text(f"SELECT version_num FROM {VERSIONS}")).first()  # noqa: S608
    return BASE if row is None else str(row[0])


def _listen(engine: Any, file: Path) -> None:
    """How SQLite is spoken with: transactions are begun by us, and a connection to a file that has gone is given up."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # or the module sqlite3 begins transactions late, and none for tables
        _keep_log(connection)
        for words in ("synchronous = FULL", "secure_delete = ON", "foreign_keys = ON", _CACHE):
            connection.execute(f"PRAGMA {words}").close()
        record.info["infolens_file"] = _identity(file)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("infolens_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "checkout")
    def taken(_: Any, record: Any, __: Any) -> None:
        if record.info["infolens_file"] != _identity(file):
            raise DisconnectionError


def _keep_log(connection: Any) -> None:
    """Have SQLite write ahead into a log. Of several who say so of a new file at once it refuses some, and at once."""
    until_s = time.monotonic() + _LOG_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until_s:
                raise
            time.sleep(_LOG_S / 100)
        else:
            return


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
