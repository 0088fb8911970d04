"""The store of keys. Whatever it is kept in, nobody else speaks SQL."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import URL, Connection, Row, and_, insert, inspect, or_, select, update
from sqlalchemy.exc import IntegrityError

from serving.errors import KeyNameError, KeysError
from serving.storage.database import Database

from .location import KEPT
from .records import DAY_S, KeyRecord, Role, digest_of, is_name, make_key, start_of
from .schema import VERSION, about, keys, metadata

_NO_STORE: Final = ""
"""The stamp of a store that nobody has made yet."""
_ROW: Final = 1
"""The number of the one row in which the store tells about itself."""
_MAX_IDS: Final = 500
"""Keys that one statement names."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All keys of a store at a time."""

    stamp: str
    """Another one after each change."""
    keys: tuple[KeyRecord, ...]


class KeyStore:
    """One store.

    Args:
        url: Where it is, as `serving.keys.location.read_url` gives it.
        now: The time of day, in seconds.

    Raises:
        KeysError: The library that it needs is not there. All methods raise it too, and `KeysAwayError` while the
            store does not answer.
    """

    def __init__(self, url: URL, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(KEPT, url)
        self._engine = self._database.engine
        self._now = now
        self.shown = self._database.shown

    def close(self) -> None:
        """Leave the database."""
        self._engine.dispose()

    def create(
        self,
        name: str,
        role: Role,
        *,
        rate_per_minute: int | None = None,
        concurrency: int | None = None,
        expires_days: float | None = None,
    ) -> tuple[str, KeyRecord]:
        """Make a key; makes the store too if there is none.

        Returns:
            The key, which is nowhere else, and what is kept of it.

        Raises:
            KeyNameError: A key of this name is valid, or none can be called so.
        """
        if not is_name(name):
            raise KeyNameError(
                "the name of a key is 1 to 64 letters, digits and ._@- (and not 'other', nor a key), "
                f"not '{name[:70]}': it stands in logs and metrics"
            )
        now_s = int(self._now())
        with self._changing() as connection:
            if (old := _current(connection, name)) is not None:
                if old.usable(now_s):
                    raise KeyNameError(f"there is a key '{name}' already: choose another name, or rotate or revoke it")
                connection.execute(update(keys).where(keys.c.id == old.id).values(current=False))
            return _add(
                connection,
                name=name,
                role=role,
                created_s=now_s,
                expires_s=None if expires_days is None else now_s + round(DAY_S * expires_days),
                rate_per_minute=rate_per_minute,
                concurrency=concurrency,
            )

    def rotate(self, name: str, *, grace_s: float, expires_days: float | None = None) -> tuple[str, KeyRecord]:
        """Make a new key in the place of another, which stays valid for a while.

        Args:
            name: Its name, which the new one gets, with role and limits.
            grace_s: How long the old one stays valid, in seconds.
            expires_days: How long the new one is valid; None for as long as the old one was to be.

        Raises:
            KeyNameError: No valid key has this name.
        """
        now_s = int(self._now())
        with self._changing() as connection:
            old = _current(connection, name)
            if old is None or not old.usable(now_s):
                raise KeyNameError(_unknown(name, "valid "))
            until_s = now_s + round(grace_s)
            lives_s = None if old.expires_s is None else old.expires_s - old.created_s
            if expires_days is not None:
                lives_s = round(DAY_S * expires_days)
            ends_s = until_s if old.expires_s is None else min(until_s, old.expires_s)
            connection.execute(update(keys).where(keys.c.id == old.id).values(current=False, expires_s=ends_s))
            return _add(
                connection,
                name=name,
                role=old.role,
                created_s=now_s,
                expires_s=None if lives_s is None else now_s + lives_s,
                rate_per_minute=old.rate_per_minute,
                concurrency=old.concurrency,
            )

    def revoke(self, name: str) -> tuple[KeyRecord, ...]:
        """End all keys of a name; returns those that were usable.

        Raises:
            KeyNameError: No key has this name.
        """
        now_s = int(self._now())
        with self._changing() as connection:
            found = [_record(row) for row in connection.execute(select(keys).where(keys.c.name == name))]
            if not found:
                raise KeyNameError(_unknown(name))
            mine = and_(keys.c.name == name, keys.c.revoked_s.is_(None))
            connection.execute(update(keys).where(mine).values(revoked_s=now_s, current=False))
        return tuple(one for one in found if one.usable(now_s))

    def read(self, known_stamp: str | None = None) -> Contents | None:
        """All keys by name and age; none if there is no store.

        Args:
            known_stamp: The stamp of a reading of before.

        Returns:
            None if nothing has changed since then.
        """
        with self._database.told():
            if self._database.missing:
                return None if known_stamp == _NO_STORE else Contents(stamp=_NO_STORE, keys=())
            with self._engine.connect() as connection:
                stamp = self._stamp(connection)
                if stamp == known_stamp:
                    return None
                rows = connection.execute(select(keys).order_by(keys.c.name, keys.c.id)).all() if stamp else ()
        return Contents(stamp=stamp, keys=tuple(map(_record, rows)))

    def note_used(self, ids: Collection[int]) -> None:
        """Keep that some keys were used just now. It is no change of a key."""
        now_s, numbers = int(self._now()), sorted(ids)
        with self._database.told(), self._engine.begin() as connection:
            for first in range(0, len(numbers), _MAX_IDS):
                older = or_(keys.c.last_used_s.is_(None), keys.c.last_used_s < now_s)
                used = and_(keys.c.id.in_(numbers[first : first + _MAX_IDS]), older)
                connection.execute(update(keys).where(used).values(last_used_s=now_s))

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction that changes keys, in a store that is made if it is not there."""
        with self._database.told():
            self._prepare()
            try:
                with self._engine.begin() as connection:
                    yield connection
                    connection.execute(update(about).values(stamp=secrets.token_hex(16)))
            except IntegrityError:
                raise KeysError("somebody else changed the same key at the same time: try again") from None

    def _prepare(self) -> None:
        """Make the store if it is not there."""

        def first(connection: Connection) -> None:
            connection.execute(insert(about).values(id=_ROW, version=VERSION, stamp=secrets.token_hex(16)))

        self._database.prepare(metadata, lambda connection: self._stamp(connection) != _NO_STORE, first)

    def _stamp(self, connection: Connection) -> str:
        """The stamp of the store; `_NO_STORE` if it was not made yet."""
        if not inspect(connection).has_table(about.name):
            return _NO_STORE
        row = connection.execute(select(about.c.version, about.c.stamp).where(about.c.id == _ROW)).one_or_none()
        if row is None:
            return _NO_STORE
        if row.version != VERSION:
            raise KeysError(
                f"the keys in {self.shown} are kept in version {row.version}, and this server knows version {VERSION}: "
                "run the version of Info Lens that made them, or name another store"
            )
        stamp: str = row.stamp
        return stamp


def _current(connection: Connection, name: str) -> KeyRecord | None:
    """The newest key of a name, if it was not revoked."""
    row = connection.execute(select(keys).where(keys.c.name == name, keys.c.current.is_(True))).one_or_none()
    return None if row is None else _record(row)


def _add(connection: Connection, *, name: str, role: Role, **fields: Any) -> tuple[str, KeyRecord]:
    key = make_key()
    values = {"name": name, "start": start_of(key), "digest": digest_of(key), "role": role.value, "current": True}
    made = connection.execute(insert(keys).values(**values, **fields)).inserted_primary_key
    row = connection.execute(select(keys).where(keys.c.id == made[0])).one()  # type: ignore[index]
    return key, _record(row)


def _record(row: Row[Any]) -> KeyRecord:
    fields = row._asdict()
    try:
        role = Role(fields["role"])
    except ValueError:
        raise KeysError(
            f"the key '{row.name}' has the role '{row.role}', which this version does not know (it knows "
            f"{', '.join(Role)}): update Info Lens, or revoke the key"
        ) from None
    return KeyRecord(**{**fields, "role": role})


def _unknown(name: str, kind: str = "") -> str:
    return f"there is no {kind}key '{name[:70]}': see `python -m serving keys list`"
