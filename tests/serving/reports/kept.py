"""Reports for tests, and what lies in a file of them."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from serving.reports.records import MAX_REPORTS
from serving.reports.store import ReportStore

DOCUMENT: Mapping[str, Any] = {
    "article": {"title": "Die Brücke", "text": None},
    "answer": {"id": "a", "truncated": False},
}
DAY_S = 86_400


class Clock:
    """A time of day that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.5

    def __call__(self) -> float:
        return self.now_s


def store_in(file: Path, clock: Clock, *, max_reports: int = MAX_REPORTS) -> ReportStore:
    return ReportStore(URL.create("sqlite", database=str(file)), now=clock, max_reports=max_reports)


def changed(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


def contents(file: Path) -> bytes:
    """The bytes of the file, and all that its rows have been compressed from."""
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT document FROM infolens_reports").fetchall()
    connection.close()
    return b"\n".join([file.read_bytes(), *(zlib.decompress(row[0]) for row in rows)])
