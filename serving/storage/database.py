"""A database that keeps something: made where it is not there, and what is wrong with it in words of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, MetaData
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError

from serving.errors import ServingError

from .kept import Kept
from .location import file_of, make_engine, shown

_OF_WHAT_WAS_ASKED: Final = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors that a database may have with one statement and not with the next; all others are its own state: a full disk,
a lock, a file that is broken or read-only. The same statement may be taken later."""


class Database:
    """One database.

    Args:
        kept: What it keeps; it names the errors.
        url: Where it is, as `serving.storage.location.read_url` gives it.
        held: Connections that stay open, as in `serving.storage.location.make_engine`.

    Attributes:
        shown: Where it is, as people may read it.
        engine: What connects to it.

    Raises:
        ServingError: The library that it needs is not there.
    """

    def __init__(self, kept: Kept, url: URL, *, held: int = 0) -> None:
        self.shown = shown(url)
        self.engine: Engine = make_engine(kept, url, held=held)
        self._kept = kept
        self._url = url

    @property
    def file(self) -> Path | None:
        """Its file, which need not be there yet; None for a database that is no file."""
        return file_of(self._url)

    @property
    def missing(self) -> bool:
        """Whether its file is not there."""
        return self.file is not None and not self.file.exists()

    def prepare(
        self, metadata: MetaData, is_made: Callable[[Connection], bool], first: Callable[[Connection], object]
    ) -> None:
        """Make the tables if they are not there, in a file for this user alone; call it inside of `told`.

        Args:
            metadata: The tables.
            is_made: Whether they are there.
            first: Writes their first rows.
        """
        self.make_file()
        with self.engine.connect() as connection:
            if is_made(connection):
                return
        try:
            with self.engine.begin() as connection:
                metadata.create_all(connection)
                first(connection)
        except DBAPIError:
            with self.engine.connect() as connection:  # it may be that somebody else made it meanwhile
                if not is_made(connection):
                    raise

    def make_file(self) -> None:
        """Make its file, empty and for this user alone, if it is one and is not there; call it inside of `told`."""
        if self.file is not None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file.touch(mode=0o600)
            if self.file.stat().st_mode & 0o077:
                self.file.chmod(0o600)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise what is wrong with the database as the errors of what it keeps."""
        what, option = self._kept.what, self._kept.option
        try:
            yield
        except DBAPIError as error:
            raise self._why(error) from None
        except OSError as error:
            raise self._kept.away(
                f"the {what} in {self.shown} cannot be kept ({error.strerror}): let this user write there, or name "
                f"another place with {option}"
            ) from None

    def _why(self, error: DBAPIError) -> ServingError:
        what, option = self._kept.what, self._kept.option
        lines = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        words = lines[0]
        if self._url.password:
            words = words.replace(str(self._url.password), "***")
        kind = self._kept.error if isinstance(error, _OF_WHAT_WAS_ASKED) else self._kept.away
        if "readonly" in words:
            return kind(
                f"the {what} in {self.shown} cannot be changed ({words}): let this user write there, or name another "
                f"place with {option}"
            )
        if kind is self._kept.away and (self.file is None or "locked" in words):
            return kind(f"the {what} in {self.shown} cannot be had now ({words}): see to the database")
        return kind(
            f"the {what} in {self.shown} cannot be used ({words}): see to the database, or name another place with "
            f"{option}"
        )
