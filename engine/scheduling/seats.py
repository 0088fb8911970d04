"""The executor of one bucket in one worker, and whose articles are in its slots."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.executor import Executor
from engine.settings import Bucket, Rules

from .statistics import Counters
from .tickets import Outcome, Ticket, trimmed

Make = Callable[[Bucket], Executor]
"""Makes an executor; called on the thread that will use it."""
_LOG = logging.getLogger(__name__)


class Seats:
    """Slots with the tickets of their articles. Only its worker's thread uses it.

    Whatever an executor raises, other than that an article does not fit, ends that executor: its buffers may be in any
    state. All of its articles get the error, and the next one that comes gets a new executor.
    """

    def __init__(self, bucket: Bucket, make: Make, rules: Rules, counters: Counters, freed: Callable[[], None]) -> None:
        """Begin without an executor: it is made for the first article, or by `open`.

        Args:
            bucket: The sizes of its buffers.
            make: Makes the executor.
            rules: Of the checkpoint.
            counters: Of the worker.
            freed: Called for each article that has left.
        """
        self._bucket, self._make, self._rules, self._counters, self._freed = bucket, make, rules, counters, freed
        self._executor: Executor | None = None
        self._tickets: list[Ticket | None] = [None] * bucket.slots
        self._holes = False
        self.count = 0
        """Articles in slots."""

    def open(self) -> Executor:
        """The executor, made where there is none."""
        if self._executor is None:
            self._executor = self._make(self._bucket)
            self._counters.slots += self._bucket.slots
        return self._executor

    def join(self, ticket: Ticket) -> None:
        """Put an article into a free slot, of which there must be one, or answer why not."""
        try:
            slot = self._tickets.index(None)
            self.open().join(slot, ticket.article)
        except ValueError as error:
            self._answer(ticket, error)
        except Exception as error:  # Whatever a device or a library may raise.
            self._give_up(error, ticket)
        else:
            self._tickets[slot] = ticket
            self.count += 1
            self._counters.joined += 1

    def answer_done(self) -> None:
        """Answer the articles whose search is over, and empty their slots."""
        if self._executor is None:
            return
        try:
            for slot in self._executor.done():
                ticket = self._tickets[slot]
                if ticket is not None:
                    longest = ticket.article.settings.max_length
                    tokens = trimmed(self._executor.summary(slot), longest, self._rules)
                    self._empty(slot)
                    self._answer(ticket, tokens)
        except Exception as error:
            self._give_up(error)

    def answer_unwanted(self, unwanted: Callable[[Ticket], Exception | None]) -> None:
        """Answer the articles of which no summary is needed any more, and empty their slots."""
        for slot, ticket in enumerate(self._tickets):
            if ticket is None or (reason := unwanted(ticket)) is None:
                continue
            try:
                self._empty(slot)
            except Exception as error:
                self._give_up(error)
                return
            self._answer(ticket, reason)

    def step(self) -> None:
        """Continue every article by a token."""
        executor = self.open()
        try:
            if self._holes:
                self._close_holes(executor)
            executor.step()
        except Exception as error:
            self._give_up(error)
            return
        self._counters.steps += 1
        self._counters.slot_steps += self.count

    def close(self, reason: Exception) -> None:
        """Answer all articles with an error and free the buffers."""
        tickets, self._tickets = self._tickets, [None] * self._bucket.slots
        executor, self._executor = self._executor, None
        self.count = 0
        if executor is not None:
            self._counters.slots -= self._bucket.slots
            try:
                executor.close()
            except Exception:
                _LOG.exception("the buffers of an executor could not be freed")
        for ticket in tickets:
            if ticket is not None:
                self._answer(ticket, reason)

    def _close_holes(self, executor: Executor) -> None:
        """Move the last articles into empty slots before them, where a step comes in fewer slots then."""
        self._holes = False
        enough = next((size for size in executor.sizes if size >= self.count), self._bucket.slots)
        for last in range(self._bucket.slots - 1, enough - 1, -1):
            if self._tickets[last] is not None:
                hole = self._tickets.index(None)
                executor.move(last, hole)
                self._tickets[hole], self._tickets[last] = self._tickets[last], None

    def _empty(self, slot: int) -> None:
        """Empty a slot; its ticket is the caller's to answer."""
        self.open().leave(slot)
        self._tickets[slot] = None
        self._holes = True
        self.count -= 1

    def _give_up(self, error: Exception, *joining: Ticket) -> None:
        """Answer all articles with the error; the next one gets a new executor."""
        if self._executor is not None:
            _LOG.error("an executor failed and is replaced: %s", error, exc_info=error)
            self._counters.replaced += 1
        self.close(error)
        for ticket in joining:
            self._answer(ticket, error)

    def _answer(self, ticket: Ticket, outcome: Outcome) -> None:
        # First the slot, so that who has an answer finds a free slot.
        self._freed()
        ticket.settle(outcome, self._counters)
