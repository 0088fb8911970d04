"""The thread that empties the queue: into the database, or into the spool while that is away."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from serving.errors import FeedbackError, SpoolFullError
from serving.feedback.records import Entry, Prediction, Tally
from serving.feedback.spool.spool import Spool

from .committer import MAX_ENTRIES, Committer
from .queue import Item, Queue
from .receipts import Counts, Receipt

COMMIT_S: Final = 2.0
"""How long a commit may take; then its entries go into the spool."""
LINGER_S: Final = 0.5
"""So long predictions wait for others, to share a commit with them; nobody waits for predictions."""
Tallies = Callable[[Prediction, str, str | None], tuple[Tally, ...]]
"""What is counted of a prediction, its text and its title towards the drift of articles."""


class Writer:
    """Writes what is queued.

    Args:
        queue: What waits.
        committer: Writes into the database.
        spool: What the database cannot take; None where there is no spool.
        tally: Called for each prediction, in this thread; one that fails costs its tallies alone.
        counts: What is dropped is counted here.
        log: The door's log.
        commit_s: As `COMMIT_S`.
        linger_s: As `LINGER_S`.
    """

    def __init__(
        self,
        queue: Queue,
        committer: Committer,
        spool: Spool | None,
        tally: Tallies,
        counts: Counts,
        log: Any,
        *,
        commit_s: float = COMMIT_S,
        linger_s: float = LINGER_S,
    ) -> None:
        self._queue = queue
        self._committer = committer
        self._spool = spool
        self._tally = tally
        self._counts = counts
        self._log = log
        self._commit_s = commit_s
        self._linger_s = linger_s
        self._told: set[str] = set()
        """Kinds of failures that the log has: each once, until it is over."""
        self._end_at: float | None = None
        self._lock = threading.Lock()

    def end(self, within_s: float) -> None:
        """Write what is queued still, and no more; the database is waited for `within_s` at most."""
        with self._lock:
            self._end_at = time.monotonic() + within_s
        self._queue.close()

    def run(self) -> None:
        """What the thread does, until `end`."""
        while items := self._queue.take(MAX_ENTRIES, self._linger_s):
            try:
                self._write([item for item in items if not item.left])
            except Exception as error:  # the thread goes on whatever comes
                self._tell("writer", "feedback lost", error)
                self._give_up(items, FeedbackError("the entry could not be written"))
            finally:
                self._queue.done()

    def _write(self, items: Sequence[Item]) -> None:
        if not items:
            return
        for item in items:
            self._count_up(item)
        if self._spool is None or (self._spool.empty and self._patience() > 0):
            try:
                results = self._committer.write([item.entry for item in items], self._patience())
            except FeedbackError as error:
                if self._spool is None:
                    self._give_up(items, error)
                    return
            else:
                self._told.discard("spool")
                for item, result in zip(items, results, strict=True):
                    what = result if isinstance(result, FeedbackError) else Receipt(where="database", written=result)
                    _tell_all([item], what)
                return
        self._set_aside(items, self._spool)

    def _patience(self) -> float:
        with self._lock:
            end_at = self._end_at
        return self._commit_s if end_at is None else max(0.0, min(self._commit_s, end_at - time.monotonic()))

    def _count_up(self, item: Item) -> None:
        """Make the tallies of a prediction, and drop its text."""
        if not isinstance(item.entry, Prediction):
            return
        try:
            tallies = self._tally(item.entry, item.text, item.title)
            self._told.discard("tally")
        except Exception as error:
            self._tell("tally", "feedback not tallied", error)
            tallies = ()
        item.entry = dataclasses.replace(item.entry, tallies=tallies)
        item.text, item.title = "", None

    def _set_aside(self, items: Sequence[Item], spool: Spool) -> None:
        """Put items into the spool: what people said before predictions, where it has not enough room for all."""
        entries: list[Entry] = [item.entry for item in items]
        try:
            fits = spool.append(entries)
        except OSError as error:
            self._tell("spool", "spool cannot be written", error, words=error.strerror or "")
            said = [item for item in items if not isinstance(item.entry, Prediction)]
            self._give_up([item for item in items if item not in said], _full(spool, error.strerror))
            if said and len(said) < len(items):
                self._set_aside(said, spool)
            elif said:
                self._give_up(said, _full(spool, error.strerror))
            return
        finally:
            self._committer.wake()
        if not all(fits):
            self._tell("spool", "spool full", _full(spool, None))
        _tell_all([item for item, fit in zip(items, fits, strict=True) if fit], Receipt(where="spool"))
        self._give_up([item for item, fit in zip(items, fits, strict=True) if not fit], _full(spool, None))

    def _give_up(self, items: Sequence[Item], error: FeedbackError) -> None:
        self._counts.add("dropped", sum(isinstance(item.entry, Prediction) for item in items))
        _tell_all(items, error)

    def _tell(self, kind: str, event: str, error: Exception, words: str | None = None) -> None:
        """Tell the first failure of a kind in a row."""
        if kind not in self._told:
            self._told.add(kind)
            said = str(error) if isinstance(error, FeedbackError) else ""  # of another it may quote an article
            self._log.error(event, error=type(error).__name__, words=said if words is None else words)


def _full(spool: Spool, problem: str | None) -> SpoolFullError:
    if problem is not None:
        return SpoolFullError(f"the database of the feedback is away, and the spool cannot be written ({problem})")
    return SpoolFullError(
        f"the database of the feedback is away, and the spool has its {spool.limit_bytes:,} bytes: try it again later"
    )


def _tell_all(items: Sequence[Item], what: Receipt | Exception) -> None:
    for item in items:
        if item.told is not None:
            item.told(what)
            item.told = None
