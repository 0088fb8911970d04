"""Which articles of a batch are to be sent, under way and answered, and what a failure means for each. No network."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from infolens._calls import refused_in, to_article
from infolens._transports.retry import Deadline, RetryPolicy
from infolens.errors import AuthenticationError, InfoLensError, PermissionDeniedError, ServerError
from infolens.types import BatchResult, Report

from .in_order import Item, id_of
from .rows import Asked


@dataclass(kw_only=True, slots=True)
class Row:
    """An article that is to be answered."""

    index: int
    id: str | None
    line: bytes
    attempts: int = 0
    """How often it failed."""
    deadline: Deadline | None = None
    """Until when it is tried again; it begins with the first failure."""


class Course:
    """The state of a batch; all of it belongs to one event loop.

    Args:
        asked: What is asked of every article.
        retries: Which failures are tried again.
        ordered: Whether results come in the order of the articles.
        ahead: How many articles are taken at most before their results have been.
    """

    def __init__(self, asked: Asked, retries: RetryPolicy, *, ordered: bool, ahead: int) -> None:
        self._asked = asked
        self._retries = retries
        self._ordered = ordered
        self._results: dict[int, BatchResult] = {}
        self._taken = self._finished = self._given = 0
        self.room = asyncio.Semaphore(ahead)
        """Articles that may still be taken."""
        self.to_send: deque[Row] = deque()
        self.exhausted = False
        """Whether there are no more articles."""
        self.source_failure: Exception | None = None
        """Why there are no more, where their source failed."""
        self.failure: BaseException | None = None
        """What ends the batch, whatever is still under way."""
        self.news = asyncio.Event()
        """Set when there may be a result to give, or the end has come."""
        self.work = asyncio.Event()
        """Set when there may be a row to send, or the end has come."""

    def take(self, item: Item) -> None:
        """Take the next article; what is none is finished at once."""
        index, self._taken = self._taken, self._taken + 1
        if isinstance(item, InfoLensError):
            self._finish(index, None, item)
            return
        try:
            article = to_article(item)
        except InfoLensError as error:
            self._finish(index, id_of(item), error)
            return
        self.to_send.append(Row(index=index, id=article.id, line=self._asked.line(article)))
        self._ring()

    def end(self, failure: Exception | None = None) -> None:
        """Note that there are no more articles, and why where that is a failure of their source."""
        self.exhausted, self.source_failure = True, failure
        self._ring()

    def fail(self, failure: BaseException) -> None:
        """End the batch; the first failure counts."""
        self.failure = self.failure or failure
        self._ring()

    @property
    def done(self) -> bool:
        """Whether every article has been answered, and no more will come."""
        return self.failure is not None or (self.exhausted and self._taken == self._finished)

    def next_result(self) -> BatchResult | None:
        """The result that is to be given next; None where it is not there yet."""
        index = self._given if self._ordered else next(iter(self._results), None)
        result = None if index is None else self._results.pop(index, None)
        if result is not None:
            self._given += 1
            self.room.release()
        return result

    def settle(self, row: Row, result: Report | ServerError) -> None:
        """Take the answer to a row: its result, or a failure after which it is sent again."""
        if isinstance(result, AuthenticationError | PermissionDeniedError):
            self.fail(result)  # no other row would fare better
            return
        error = result if isinstance(result, ServerError) else refused_in(result)
        pause_s = self._pause_s(row, error) if error is not None else None
        if pause_s is None:
            self._finish(row.index, row.id, result)
        else:
            asyncio.get_running_loop().call_later(pause_s, self._again, row)
            self._ring()  # meanwhile there is room for another

    def give_back(self, rows: Iterable[Row]) -> None:
        """Rows that were sent and not answered are to be sent again, before all others."""
        self.to_send.extendleft(reversed([*rows]))

    def stumble(self, rows: int, error: ServerError, kind: ServerError) -> float:
        """Count a failure of the connection for the rows that are next, and return the pause before the next one.

        Args:
            rows: For how many rows it counts.
            error: What becomes of a row that is not tried again.
            kind: What the failure counts as when it is decided which rows are.
        """
        kept: list[Row] = []
        pauses_s = [0.0]
        for row in [self.to_send.popleft() for _ in range(min(rows, len(self.to_send)))]:
            pause_s = self._pause_s(row, kind)
            if pause_s is None:
                self._finish(row.index, row.id, error)
            else:
                kept.append(row)
                pauses_s.append(pause_s)
        self.give_back(kept)
        return max(pauses_s)

    def _pause_s(self, row: Row, error: ServerError) -> float | None:
        row.attempts += 1
        row.deadline = row.deadline or Deadline(self._asked.timeout_s)
        pause_s = self._retries.pause_s(error, row.attempts, patient=True)
        return pause_s if pause_s is not None and row.deadline.allows(pause_s) else None

    def _again(self, row: Row) -> None:
        self.to_send.append(row)
        self._ring()

    def _finish(self, index: int, name: str | None, result: Report | InfoLensError) -> None:
        self._results[index] = BatchResult(index=index, id=name, result=result)
        self._finished += 1
        self._ring()

    def _ring(self) -> None:
        self.news.set()
        self.work.set()
