"""The keeper of a door, by its options."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .keeper import Keeper, no_tallies, off
from .keeping import FeedbackStorage
from .options import FeedbackOptions
from .spool.spool import Spool
from .writing.writer import Tallies


@asynccontextmanager
async def open_feedback(options: FeedbackOptions, log: Any, tally: Tallies = no_tallies) -> AsyncIterator[Keeper]:
    """Keep feedback inside the block, as `check_feedback` has found out.

    Args:
        options: Whether, where and for how long.
        log: The door's log.
        tally: What is counted of a prediction, its text and its title towards the drift of articles.
    """
    if not options.keeps:
        yield off(options.why_not or "it was not started to keep any")
        return

    def opens() -> FeedbackStorage:
        # The library of the database is loaded in a thread, and by those doors alone that keep feedback.
        from sqlalchemy import make_url

        from .store import FeedbackStore

        return FeedbackStore(make_url(options.url))

    def opens_spool() -> Spool:
        return Spool(Path(options.spool), options.spool_bytes, log)

    keeper = Keeper(opens, log, options, tally=tally, opens_spool=opens_spool if options.spool else None)
    async with keeper.running():
        yield keeper
