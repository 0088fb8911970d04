"""Keeps reports for the door: no answer waits for long, whatever the store does, and none is broken by it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, Self

from serving.errors import ReportsError, ReportsLimitError
from serving.storage.asking import PATIENCE_S, Asker

from .location import KEPT
from .records import KeptReport, is_id

SWEEP_EVERY_S: Final = 3600.0
"""How often reports are removed whose time is up; nobody can read them before that either."""
_FIRST_SWEEP_S: Final = 60.0
"""When that is done first: a server may be started anew more often than once an hour."""


class Store(Protocol):
    """What is needed of the store; all of it may take long and raise `ReportsError`."""

    def keep(self, document: Mapping[str, Any], *, key: str, days: int) -> KeptReport:
        """Keep a report."""
        ...

    def find(self, report_id: str) -> KeptReport | None:
        """The report of an id."""
        ...

    def delete(self, report_id: str) -> bool:
        """Remove a report."""
        ...

    def sweep(self) -> bool:
        """Remove what is too old."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...


class Keeper:
    """Keeps reports. It belongs to the event loop in which it is used; the store is asked in threads beside it.

    Args:
        opens: Opens the store; called in a thread when it is first needed, since its library takes time to load.
        log: The door's log.
        days: How long a report is kept.
        texts: Whether the texts of articles are kept.
        has_some: Whether the store may hold anything: one that cannot is not opened to be swept.
        why_not: Why no report is kept; empty where they are.
        patience_s: As `PATIENCE_S`.
        sweep_every_s: As `SWEEP_EVERY_S`.
    """

    def __init__(
        self,
        opens: Callable[[], Store],
        log: Any,
        *,
        days: int,
        texts: bool = False,
        has_some: Callable[[], bool] = lambda: True,
        why_not: str = "",
        patience_s: float = PATIENCE_S,
        sweep_every_s: float = SWEEP_EVERY_S,
    ) -> None:
        self.days = days
        self.texts = texts
        self.why_not = why_not
        self._log = log
        self._has_some = has_some
        self._sweep_every_s = sweep_every_s
        self._asker = Asker(opens, KEPT, log, patience_s=patience_s, refusals=(ReportsLimitError,))

    @property
    def keeps(self) -> bool:
        """Whether reports are kept."""
        return not self.why_not

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Sweep now and then inside the block, and leave the store after it."""
        task = asyncio.create_task(self._sweep()) if self.keeps else None
        try:
            yield self
        finally:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self._asker.close()

    async def keep(self, document: Mapping[str, Any], *, key: str, within_s: float | None = None) -> KeptReport:
        """Keep a report.

        Args:
            document: What is kept.
            key: The name of the caller's key; empty for none.
            within_s: How long it may take; None for as long as anything may.

        Raises:
            ReportsLimitError: It is too large, or too many are kept already; the words are for the caller.
            ReportsError: The store cannot keep it.
        """
        if not self.keeps:
            raise ReportsError(self.why_not)
        left = threading.Event()

        def keep(store: Store) -> KeptReport:
            found = store.keep(document, key=key, days=self.days)
            if left.is_set():  # nobody was told its id, and nobody will be
                store.delete(found.id)
            return found

        try:
            return await self._asker.ask(keep, self._asker.patience(within_s))
        except ReportsLimitError as error:
            self._log.warning("report not kept", words=str(error))
            raise
        except BaseException:
            left.set()
            raise

    async def find(self, report_id: str) -> KeptReport | None:
        """The report of an id; None if there is none, or its time is up.

        Raises:
            ReportsError: The store cannot be asked.
        """
        if not self._may(report_id):
            return None
        return await self._asker.ask(lambda store: store.find(report_id), self._asker.patience())

    async def delete(self, report_id: str) -> bool:
        """Remove a report; returns whether there was one.

        Raises:
            ReportsError: The store cannot be asked.
        """
        if not self._may(report_id):
            return False
        return await self._asker.ask(lambda store: store.delete(report_id), self._asker.patience())

    def _may(self, report_id: str) -> bool:
        """Whether there can be a report of this id."""
        return self.keeps and is_id(report_id) and self._has_some()

    async def _sweep(self) -> None:
        pause_s = min(_FIRST_SWEEP_S, self._sweep_every_s)
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._sweep_every_s
            if self._has_some():
                with contextlib.suppress(ReportsError):  # the log has it, and nobody can read them anyway
                    await self._asker.ask(lambda store: store.sweep(), None)


def off(why_not: str) -> Keeper:
    """What keeps nothing.

    Args:
        why_not: Why not, in words for callers.
    """

    def nothing() -> Store:
        raise ReportsError(why_not)

    return Keeper(nothing, None, days=0, why_not=why_not)
