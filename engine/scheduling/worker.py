"""A thread that runs executors, one for each bucket, and goes round them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from engine.settings import Bucket, Rules

from .queue import Queue
from .seats import Make, Seats
from .statistics import Counters
from .tickets import Ticket, closed

_LOOK_ROUNDS: Final = 4
"""After so many rounds it is asked again whether articles in slots are still wanted: asking takes time from a step."""
_SWEEP_ROUNDS: Final = 16
"""Likewise for those that wait."""
_LOG = logging.getLogger(__name__)


class Worker:
    """Goes round: answer what is done, drop what is unwanted, let new articles in, and one step of each executor."""

    def __init__(
        self,
        number: int,
        queue: Queue,
        buckets: Sequence[Bucket],
        make: Make,
        rules: Rules,
        *,
        joins_per_step: int,
        gather_rounds: int,
        eager: bool,
        clock: Callable[[], float],
    ) -> None:
        """Begin the thread.

        Args:
            number: Its place among the workers of the queue.
            queue: Where articles come from.
            buckets: Sizes of the buffers.
            make: Makes the executor of a bucket.
            rules: Of the checkpoint.
            joins_per_step: Articles that join at most between two steps.
            gather_rounds: As `Plan` of `engine.scheduling.engine` has it.
            eager: Whether all executors are made at once, rather than each for its first article.
            clock: Seconds, as those of `Ticket.deadline_s`.
        """
        self._number, self._queue, self._clock = number, queue, clock
        self._joins_per_step, self._gather_rounds = joins_per_step, gather_rounds
        self.counters = Counters()
        self._seats = [
            Seats(bucket, make, rules, self.counters, partial(queue.left, number, index))
            for index, bucket in enumerate(buckets)
        ]
        self._rounds = 0
        self.ready: Future[None] = Future()
        """Done when articles may come; raises what an executor raised that could not be made."""
        self._thread = threading.Thread(target=self._run, args=(eager,), name=f"engine-{number}", daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether it is asked on the worker's own thread."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def _run(self, eager: bool) -> None:
        try:
            if eager:
                for seats in self._seats:
                    seats.open()
            self.ready.set_result(None)
        except Exception as error:  # It is raised where the engine is opened.
            self.ready.set_exception(error)
        while not self._queue.closed:
            if not any(seats.count for seats in self._seats):
                self._queue.wait(self._number)
            try:
                self._round()
            except Exception:
                # A mistake of ours: articles are in no slot or in one, and no one else would answer them.
                _LOG.exception("a worker of the engine went wrong and begins anew")
                for seats in self._seats:
                    seats.close(RuntimeError("the engine went wrong and began anew"))
        for seats in self._seats:
            seats.close(closed())
        for ticket in self._queue.drain(self._number):
            ticket.settle(closed(), self.counters)

    def _round(self) -> None:
        self._rounds += 1
        look = self._rounds % _LOOK_ROUNDS == 0
        for seats in self._seats:
            if seats.count:
                seats.answer_done()
                if look:
                    seats.answer_unwanted(self._unwanted)
        gathered = self._rounds % self._gather_rounds == 0 or self._queue.given(self._number) >= self._joins_per_step
        if gathered or not any(seats.count for seats in self._seats):
            self._let_in()
        if self._queue.waiting and self._rounds % _SWEEP_ROUNDS == 0:
            for ticket, reason in self._queue.withdraw(self._unwanted):
                ticket.settle(reason, self.counters)
        for seats in self._seats:
            if seats.count:
                seats.step()

    def _let_in(self) -> None:
        joined = 0
        while joined < self._joins_per_step and (ticket := self._queue.take(self._number)) is not None:
            reason = self._unwanted(ticket)
            if reason is None:
                self._seats[ticket.bucket].join(ticket)
                joined += 1
            else:
                self._queue.left(self._number, ticket.bucket)
                ticket.settle(reason, self.counters)

    def _unwanted(self, ticket: Ticket) -> Exception | None:
        return ticket.unwanted(self._clock())
