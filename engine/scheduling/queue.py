"""Articles that wait, and which worker takes which.

An article is given to a worker only once a slot is free for it, and then to the worker with the fewest articles. Each
bucket has a queue of its own, oldest first, so that one whose slots are all taken holds up no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from .errors import BusyError, ClosedError
from .tickets import Ticket


class Queue:
    """What `submit` and the workers share. Every method may be called from every thread."""

    def __init__(self, slots: Sequence[int], workers: int, max_waiting: int) -> None:
        """Begin empty.

        Args:
            slots: Of each bucket, how many articles a worker holds at a time.
            workers: How many there are.
            max_waiting: Articles that wait at most while no slot is free for them.
        """
        self._lock = threading.Lock()
        self._max_waiting = max_waiting
        self._waiting: list[deque[Ticket]] = [deque() for _ in slots]
        self._free = [list(slots) for _ in range(workers)]
        self._loads = [0] * workers
        self._inboxes: list[deque[Ticket]] = [deque() for _ in range(workers)]
        self._wakers = [threading.Condition(self._lock) for _ in range(workers)]
        self.closed = False
        """Whether `close` was called."""

    # -- for those who submit -----------------------------------------------------------------------------------

    def put(self, ticket: Ticket) -> None:
        """Give an article to a worker, or have it wait.

        Raises:
            BusyError: As many wait as may.
            ClosedError: The queue is closed.
        """
        with self._lock:
            if self.closed:
                raise ClosedError("the engine is closed")
            waiting = self._waiting[ticket.bucket]
            # Whoever waits for this bucket does so since it has no free slot, and came first.
            if self._has_room(ticket.bucket):
                self._assign(ticket)
                return
            if self.waiting >= self._max_waiting:
                raise BusyError(f"{self._max_waiting} articles wait already, the most that may: try again later")
            waiting.append(ticket)

    def close(self) -> None:
        """Wake all workers for the last time."""
        with self._lock:
            self.closed = True
            for waker in self._wakers:
                waker.notify()

    # -- for workers --------------------------------------------------------------------------------------------

    def wait(self, worker: int) -> None:
        """Return when the worker has an article to take, or the queue is closed."""
        with self._lock:
            while not self._inboxes[worker] and not self.closed:
                self._wakers[worker].wait()

    def take(self, worker: int) -> Ticket | None:
        """The oldest article that was given to this worker; None where it has all of them."""
        try:
            return self._inboxes[worker].popleft()  # A deque needs no lock for this.
        except IndexError:
            return None

    def given(self, worker: int) -> int:
        """Articles that were given to this worker and not taken yet."""
        return len(self._inboxes[worker])

    def left(self, worker: int, bucket: int) -> None:
        """A slot is free again: the article that waits longest for one of this bucket may have it."""
        with self._lock:
            self._free[worker][bucket] += 1
            self._loads[worker] -= 1
            waiting = self._waiting[bucket]
            if waiting and not self.closed:
                self._assign(waiting.popleft())

    def withdraw(self, unwanted: Callable[[Ticket], Exception | None]) -> list[tuple[Ticket, Exception]]:
        """Remove from those that wait the ones that are no longer wanted.

        Args:
            unwanted: Says why; called without the lock, and not for articles that a worker has been given.
        """
        with self._lock:
            seen = [ticket for waiting in self._waiting for ticket in waiting]
        found = [(ticket, reason) for ticket in seen if (reason := unwanted(ticket)) is not None]
        removed = []
        with self._lock:
            for ticket, reason in found:
                # It may have been given to a worker in the meantime, or withdrawn by another one.
                if ticket in (waiting := self._waiting[ticket.bucket]):
                    waiting.remove(ticket)
                    removed.append((ticket, reason))
        return removed

    def drain(self, worker: int) -> list[Ticket]:
        """What a worker answers when the queue is closed: all that it was given, and all that still waits."""
        with self._lock:
            found = [*self._inboxes[worker], *(ticket for waiting in self._waiting for ticket in waiting)]
            for tickets in (self._inboxes[worker], *self._waiting):
                tickets.clear()
            return found

    # -- for statistics -----------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Articles that no worker has been given."""
        return sum(map(len, self._waiting))

    @property
    def busy(self) -> int:
        """Articles that workers have been given."""
        return sum(self._loads)

    # -- under the lock -----------------------------------------------------------------------------------------

    def _has_room(self, bucket: int) -> bool:
        return any(free[bucket] for free in self._free)

    def _assign(self, ticket: Ticket) -> None:
        """Give an article to the worker with the fewest of those that have a free slot for it."""
        able = [worker for worker, free in enumerate(self._free) if free[ticket.bucket]]
        worker = min(able, key=self._loads.__getitem__)
        self._free[worker][ticket.bucket] -= 1
        self._loads[worker] += 1
        self._inboxes[worker].append(ticket)
        self._wakers[worker].notify()
