"""Who waits for an answer: until when, and whether still; asked about as seldom as is enough."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

if __package__:
    from serving.backends import wanted
else:  # Triton imports this backend as the module "model", with its folder on the path
    import wanted  # type: ignore[import-not-found, no-redef]

EVERY_S = 0.05
"""An engine asks at every step, and to ask Triton costs two switches of process."""


class Caller:
    """The caller of one request.

    Args:
        left: Whether it has left.
        deadline_s: When its time is up, on the monotonic clock; None for never.
        now: The clock, in seconds.

    Attributes:
        deadline_s: As given.
    """

    def __init__(
        self, left: Callable[[], bool], deadline_s: float | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.deadline_s = deadline_s
        self._left, self._now = left, now
        self._next_s = -1e9
        self._gone = False
        self._lock = threading.Lock()

    @classmethod
    def of(cls, request: Any, sender: Any, board: wanted.Board) -> Caller:
        """The caller of a request, as Triton hands it over with its response sender."""
        ticket, deadline_us = wanted.read_notes(request.parameters())
        left = sender.is_cancelled if ticket is None else partial(board.has_left, ticket)
        ends_s = [] if deadline_us is None else [deadline_us / 1e6]
        if timeout_us := request.timeout():
            ends_s.append(time.monotonic() + timeout_us / 1e6)
        return cls(left, min(ends_s, default=None))

    def has_left(self) -> bool:
        """Whether it has left, as it was at most `EVERY_S` ago."""
        now_s = self._now()
        with self._lock:
            if not self._gone and now_s >= self._next_s:
                self._next_s = now_s + EVERY_S
                self._gone = bool(self._left())
            return self._gone

    def why_unwanted(self) -> wanted.UnwantedError | None:
        """Why nothing need be begun for it; None while it waits."""
        if self.has_left():
            return wanted.UnwantedError(wanted.LEFT, "CANCELLED")
        if self.deadline_s is not None and self._now() >= self.deadline_s:
            return wanted.UnwantedError(wanted.EXPIRED, "UNAVAILABLE")
        return None
