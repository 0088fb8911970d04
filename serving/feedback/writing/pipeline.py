"""All that lies between the door's event loop and the database, as one thing that is started and ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from serving.errors import FeedbackError
from serving.feedback.keeping import FeedbackStorage
from serving.feedback.records import Entry
from serving.feedback.spool.spool import Spool
from serving.storage.asking import PATIENCE_S, Asker

from .committer import FIRST_RETRY_S, FORGET_EVERY_S, LAST_RETRY_S, Committer
from .queue import Item, Queue
from .receipts import Counts, Standing
from .writer import COMMIT_S, LINGER_S, Tallies, Writer

END_S: Final = 0.5
"""How long the end of a door waits for the database to take what is queued still, before the spool gets it."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """All times, in seconds."""

    caller_s: float = PATIENCE_S
    """How long somebody waits who gives something in, or asks."""
    commit_s: float = COMMIT_S
    linger_s: float = LINGER_S
    retry_s: tuple[float, float] = (FIRST_RETRY_S, LAST_RETRY_S)
    forget_every_s: float = FORGET_EVERY_S
    end_s: float = END_S


class Pipeline:
    """Takes entries, and has them written.

    Args:
        asker: Asks the store.
        log: The door's log.
        days: How long predictions are kept.
        tally: What is counted of a prediction; called in a thread.
        opens_spool: Opens the spool; called in a thread. None for no spool.
        patience: How long is waited for what.
    """

    def __init__(
        self,
        asker: Asker[FeedbackStorage],
        log: Any,
        *,
        days: int,
        tally: Tallies,
        opens_spool: Callable[[], Spool] | None,
        patience: Patience,
    ) -> None:
        self._asker = asker
        self._log = log
        self._days = days
        self._tally = tally
        self._opens_spool = opens_spool
        self._patience = patience
        self._queue = Queue()
        self._counts = Counts()
        self._spool: Spool | None = None
        self._committer: Committer | None = None

    @property
    def salt(self) -> str:
        """Random characters of the store; empty until it was reached once."""
        return "" if self._committer is None else self._committer.salt

    def put(self, item: Item) -> bool:
        """Take an item; returns whether there was room for it. It never waits."""
        if self._queue.put(item):
            return True
        if item.told is None:
            self._counts.add("dropped")
        return False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Write what is put inside the block; at its end what is queued goes into the database, or into the spool."""
        patience, log = self._patience, self._log
        self._spool = spool = await asyncio.to_thread(self._opened)
        self._committer = committer = Committer(
            self._asker,
            spool,
            self._counts,
            log,
            days=self._days,
            retry_s=patience.retry_s,
            forget_every_s=patience.forget_every_s,
        )
        times = {"commit_s": patience.commit_s, "linger_s": patience.linger_s}
        writer = Writer(self._queue, committer, spool, self._tally, self._counts, log, **times)
        # Daemons: a database that hangs keeps no door from ending.
        writes = threading.Thread(target=writer.run, name="feedback-writer", daemon=True)
        commits = threading.Thread(target=committer.run, name="feedback-committer", daemon=True)
        writes.start()
        commits.start()
        try:
            yield self
        finally:
            writer.end(patience.end_s)
            await asyncio.to_thread(writes.join, 2 * patience.end_s)
            committer.close()
            await asyncio.to_thread(commits.join, patience.end_s / 2)
            if len(self._queue):
                log.error("feedback lost", entries=len(self._queue))
            if spool is not None:
                spool.close()
            self._asker.close()

    async def waiting(self, prediction_id: str) -> list[Entry]:
        """What is on its way of a prediction, in its order; what is not is in the database.

        Raises:
            FeedbackError: The spool cannot be read.
        """
        queued = self._queue.of(prediction_id)  # first: what leaves the queue meanwhile is in the spool then
        spool = self._spool
        if spool is None or not spool.has(prediction_id):
            return queued
        try:
            spooled = await asyncio.to_thread(spool.of, prediction_id)
        except OSError as error:
            raise FeedbackError(f"the spool cannot be read ({error.strerror})") from None
        return [*spooled, *(one for one in queued if one not in spooled)]

    def standing(self) -> Standing:
        """How it is now."""
        spool = self._spool
        return Standing(
            away=self._asker.health.away,
            queued=len(self._queue),
            spooled_entries=0 if spool is None else spool.entries,
            spooled_bytes=0 if spool is None else spool.size_bytes,
            spool_limit_bytes=0 if spool is None else spool.limit_bytes,
            torn=0 if spool is None else spool.torn,
            **self._counts.numbers(),
        )

    def _opened(self) -> Spool | None:
        if self._opens_spool is None:
            return None
        try:
            return self._opens_spool()
        except (OSError, FeedbackError) as error:
            words = str(error) if isinstance(error, FeedbackError) else error.strerror or ""
            self._log.error("no spool", error=type(error).__name__, words=words)
            return None
