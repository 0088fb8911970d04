"""The keeper of a door, by its options."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from serving.storage.kept import file_named

from .keeper import Keeper, Store, off
from .options import ReportsOptions


@asynccontextmanager
async def open_reports(options: ReportsOptions, log: Any) -> AsyncIterator[Keeper]:
    """Keep reports inside the block, as `check_reports` has found out.

    Args:
        options: Whether, where and for how long.
        log: The door's log.
    """
    if not options.keeps:
        yield off(options.why_not or "it was not started to keep any")
        return
    file = file_named(options.url)

    def opens() -> Store:
        # The library of the database is loaded by those doors alone that keep a report.
        from sqlalchemy import make_url

        from .store import ReportStore

        return ReportStore(make_url(options.url))

    keeper = Keeper(
        opens,
        log,
        days=options.days,
        texts=options.texts,
        has_some=lambda: file is None or file.exists(),
    )
    async with keeper.running():
        yield keeper
