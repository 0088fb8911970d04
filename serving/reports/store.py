"""The store of reports. Whatever it is kept in, nobody else speaks SQL."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import URL, Connection, delete, event, func, insert, inspect, select

from serving.errors import ReportsError, ReportsLimitError
from serving.storage.database import Database

from .location import KEPT
from .records import MAX_DOCUMENT_BYTES, MAX_REPORTS, KeptReport, make_id
from .schema import VERSION, about, metadata, reports

_DAY_S: Final = 86_400
_ROW: Final = 1
"""The number of the one row in which the store tells about itself."""


class ReportStore:
    """One store. All of its methods may take seconds: call them in a thread.

    Args:
        url: Where it is, as `serving.storage.location.read_url` gives it.
        now: The time of day, in seconds.
        max_reports: As `MAX_REPORTS`.

    Raises:
        ReportsError: The library that it needs is not there. All methods raise it too, and `ReportsAwayError` while the
            store does not answer.
    """

    def __init__(self, url: URL, *, now: Callable[[], float] = time.time, max_reports: int = MAX_REPORTS) -> None:
        self._database = Database(KEPT, url)
        self._now = now
        self._max_reports = max_reports
        if self._database.file is not None:
            event.listen(self._database.engine, "connect", _overwrite_what_goes)

    def close(self) -> None:
        """Leave the database."""
        self._database.engine.dispose()

    def keep(self, document: Mapping[str, Any], *, key: str, days: int) -> KeptReport:
        """Keep a report; makes the store too if there is none.

        Args:
            document: What is kept.
            key: The name of the key that it was made with; empty for none.
            days: How long.

        Raises:
            ReportsLimitError: It is too large, or too many are kept already.
        """
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(body) > MAX_DOCUMENT_BYTES:
            raise ReportsLimitError(
                f"a report that is kept has at most {MAX_DOCUMENT_BYTES:,} bytes as JSON, and this one has "
                f"{len(body):,}: ask about a shorter article"
            )
        now_s = int(self._now())
        found = KeptReport(id=make_id(), made_s=now_s, until_s=now_s + _DAY_S * days, key=key, document=dict(document))
        values = {name: getattr(found, name) for name in ("id", "made_s", "until_s", "key")}
        with self._database.told():
            self._prepare()
            with self._database.engine.begin() as connection:
                if _count(connection) >= self._max_reports:
                    _sweep(connection, now_s)
                    if (count := _count(connection)) >= self._max_reports:
                        raise ReportsLimitError(
                            f"this server keeps at most {self._max_reports:,} reports, and has {count:,}: delete some, "
                            "or wait until their time is up"
                        )
                connection.execute(insert(reports).values(**values, document=zlib.compress(body)))
        return found

    def find(self, report_id: str) -> KeptReport | None:
        """The report of an id; None if there is none, or its time is up."""
        with self._database.told():
            if self._database.missing:
                return None
            with self._database.engine.connect() as connection:
                if not self._is_made(connection):
                    return None
                alive = (reports.c.id == report_id, reports.c.until_s > int(self._now()))
                row = connection.execute(select(reports).where(*alive)).one_or_none()
        if row is None:
            return None
        try:
            document = json.loads(zlib.decompress(row.document))
        except (zlib.error, ValueError):
            raise ReportsError(f"a report in {self._database.shown} is broken: see to the database") from None
        return KeptReport(id=row.id, made_s=row.made_s, until_s=row.until_s, key=row.key, document=document)

    def delete(self, report_id: str) -> bool:
        """Remove a report; returns whether there was one."""
        return self._remove(lambda connection: connection.execute(delete(reports).where(reports.c.id == report_id)))

    def sweep(self) -> bool:
        """Remove the reports whose time is up; returns whether there were some."""
        return self._remove(lambda connection: _sweep(connection, int(self._now())))

    def _remove(self, remove: Callable[[Connection], Any]) -> bool:
        with self._database.told():
            if self._database.missing:
                return False
            with self._database.engine.begin() as connection:
                return self._is_made(connection) and bool(remove(connection).rowcount > 0)

    def _prepare(self) -> None:
        def first(connection: Connection) -> None:
            connection.execute(insert(about).values(id=_ROW, version=VERSION))

        self._database.prepare(metadata, self._is_made, first)

    def _is_made(self, connection: Connection) -> bool:
        """Whether the tables are there, in the version that this server knows."""
        if not inspect(connection).has_table(about.name):
            return False
        version = connection.execute(select(about.c.version).where(about.c.id == _ROW)).scalar_one_or_none()
        if version not in (None, VERSION):
            raise ReportsError(
                f"the reports in {self._database.shown} are kept in version {version}, and this server knows version "
                f"{VERSION}: run the version of Info Lens that made them, or name another store"
            )
        return version is not None


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(reports)).scalar_one()


def _sweep(connection: Connection, now_s: int) -> Any:
    return connection.execute(delete(reports).where(reports.c.until_s <= now_s))


def _overwrite_what_goes(connection: Any, _: Any) -> None:
    """Have SQLite write zeros over what is deleted, which it would leave in its file."""
    connection.execute("PRAGMA secure_delete = ON")
