"""The one thread that writes into the database: batches as they come, and what the spool holds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from serving.errors import FeedbackAwayError, FeedbackError
from serving.feedback.keeping import FeedbackStorage, Outcome, Written
from serving.feedback.records import Entry
from serving.feedback.spool.spool import Spool
from serving.storage.asking import Asker

from .receipts import Counts

FIRST_RETRY_S: Final = 0.25
"""After a failure the database is tried again so soon..."""
LAST_RETRY_S: Final = 10.0
"""...and then ever later, up to this."""
FORGET_EVERY_S: Final = 3600.0
"""How often predictions are forgotten whose time is up."""
_FIRST_FORGET_S: Final = 60.0
"""When that is done first: a server may be started anew more often than once an hour."""
MAX_ENTRIES: Final = 64
"""A transaction has no more entries."""
_MAX_FAILURES: Final = 8
"""So many entries that fail one after the other, and none that does not, are the database's fault and not theirs."""
_T = TypeVar("_T")
Result = Written | FeedbackError
"""What came of one entry: an error where the database takes it in no way, although it took others."""


@dataclass(eq=False, slots=True)
class _Job:
    entries: Sequence[Entry]
    results: Sequence[Result] = ()
    error: FeedbackError | None = None
    begun: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Committer:
    """Writes into the database in one thread, so that nothing overtakes what hangs there.

    Args:
        asker: Asks the store.
        spool: What the database could not take; None where there is no spool.
        counts: What comes of entries is counted here.
        log: The door's log.
        days: How long predictions are kept.
        retry_s: The first and the last pause after failures.
        forget_every_s: As `FORGET_EVERY_S`.

    Attributes:
        salt: That of the store; empty until it was reached once.
    """

    def __init__(
        self,
        asker: Asker[FeedbackStorage],
        spool: Spool | None,
        counts: Counts,
        log: Any,
        *,
        days: int,
        retry_s: tuple[float, float] = (FIRST_RETRY_S, LAST_RETRY_S),
        forget_every_s: float = FORGET_EVERY_S,
    ) -> None:
        self.salt = ""
        self._asker = asker
        self._spool = spool
        self._counts = counts
        self._log = log
        self._days = days
        self._first_retry_s, self._last_retry_s = retry_s
        self._forget_every_s = forget_every_s
        self._changed = threading.Condition()
        self._job: _Job | None = None
        self._closing = self._unread = False
        self._retry_s = 0.0
        self._retry_at = time.monotonic()
        self._forget_at = time.monotonic() + min(_FIRST_FORGET_S, forget_every_s)

    def write(self, entries: Sequence[Entry], within_s: float) -> Sequence[Result]:
        """Have entries written in one transaction; called from another thread.

        Args:
            entries: At most `MAX_ENTRIES`.
            within_s: How long it may take. The database may take them still after that; nobody is told.

        Raises:
            FeedbackError: It failed; `FeedbackAwayError` also where it took too long.
        """
        job = _Job(entries)
        with self._changed:
            if self._job is not None or self._closing:
                raise FeedbackAwayError("the store of the feedback does not answer")
            self._job = job
            self._changed.notify()
        if not job.done.wait(within_s):
            with self._changed:
                if self._job is job and not job.begun:
                    self._job = None
            if not job.done.is_set():
                error = FeedbackAwayError(f"the store of the feedback did not answer within {within_s:g} s")
                self._asker.health.fell(error)
                raise error
        if job.error is not None:
            raise job.error
        return job.results

    def wake(self) -> None:
        """The spool has something to be brought into the database."""
        with self._changed:
            self._changed.notify()

    def close(self) -> None:
        """End the thread once it is done with what it does."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def run(self) -> None:
        """What the thread does, until `close`."""
        while (turn := self._next()) is not None:
            turn()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while True:
                if (job := self._job) is not None:
                    job.begun = True
                    return lambda: self._do(job)
                if self._closing:
                    return None
                spooled = self._spool is not None and not self._spool.empty
                now, at = time.monotonic(), self._forget_at
                if spooled or not self.salt:
                    at = min(at, self._retry_at)
                if at <= now:
                    return self._replay if spooled and self._retry_at <= now else self._look_after
                self._changed.wait(at - now)

    def _do(self, job: _Job) -> None:
        try:
            job.results = self._tried(lambda: self._commit(job.entries))
        except FeedbackError as error:
            job.error = error
        with self._changed:
            self._job = None
            job.done.set()

    def _replay(self) -> None:
        """Bring the next entries of the spool into the database."""
        if (spool := self._spool) is None:
            return
        try:
            chunk = spool.read(MAX_ENTRIES)
            results = self._tried(lambda: self._commit(chunk.entries)) if chunk.entries else ()
            spool.advance(chunk)
        except FeedbackError:
            return  # told, and tried again
        except OSError as error:
            self._put_off()
            if not self._unread:
                self._log.error("spool cannot be read", error=type(error).__name__, words=error.strerror or "")
            self._unread = True
            return
        self._unread = False
        for result in results:
            if isinstance(result, Written) and result.outcome is Outcome.CONFLICT:
                self._log.warning("feedback in conflict", words="its Idempotency-Key was that of another submission")

    def _look_after(self) -> None:
        """Read the salt, and forget what is too old."""
        try:
            if not self.salt:
                self.salt = self._tried(lambda: self._asker.do(lambda store: store.salt))
            if time.monotonic() >= self._forget_at:
                self._forget_at = time.monotonic() + self._forget_every_s
                self._tried(lambda: self._asker.do(lambda store: store.forget(self._days)))
                if self._spool is not None:
                    self._spool.adopt()
        except (FeedbackError, OSError):
            return  # told, and tried again

    def _commit(self, entries: Sequence[Entry]) -> Sequence[Result]:
        try:
            results: Sequence[Result] = self._asker.do(partial(_write, entries=entries))
        except FeedbackAwayError:
            raise
        except Exception:
            if len(entries) == 1:
                raise
            results = self._singly(entries)
        for result in results:
            if isinstance(result, FeedbackError):
                self._counts.add("refused")
                # The database's own words may quote what it was given.
                self._log.error("feedback refused", error=type(result.__context__ or result).__name__)
            else:
                self._counts.written(result.outcome)
        return results

    def _singly(self, entries: Sequence[Entry]) -> Sequence[Result]:
        """Write entry by entry: one that the database takes in no way must not keep the others out."""
        results: list[Result] = []
        failures, taken = 0, False
        for entry in entries:
            try:
                results += self._asker.do(partial(_write, entries=(entry,)))
                taken = True
            except FeedbackAwayError:
                raise
            except Exception as error:
                failures += 1
                if not taken and failures in (_MAX_FAILURES, len(entries)):
                    raise
                results.append(error if isinstance(error, FeedbackError) else FeedbackError("the store failed"))
        return results

    def _tried(self, work: Callable[[], _T]) -> _T:
        """Have the store do something; a failure is told, and has the next attempt wait.

        Raises:
            FeedbackError: It failed.
        """
        try:
            found = work()
        except Exception as error:
            self._asker.health.fell(error)
            self._put_off()
            raise error if isinstance(error, FeedbackError) else FeedbackError("the store failed") from None
        self._asker.health.answered()
        self._retry_s, self._retry_at = 0.0, time.monotonic()
        return found

    def _put_off(self) -> None:
        """Have the next attempt wait, longer than the one before."""
        self._retry_s = min(max(2 * self._retry_s, self._first_retry_s), self._last_retry_s)
        self._retry_at = time.monotonic() + self._retry_s * random.uniform(0.75, 1.0)  # noqa: S311 (several doors)


def _write(store: FeedbackStorage, entries: Sequence[Entry]) -> Sequence[Written]:
    return store.write(entries)
