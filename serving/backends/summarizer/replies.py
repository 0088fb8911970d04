"""The answer to a request of several articles, each of which is done when it is done."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]
Send = Callable[[Sequence[Tokens] | Exception], None]
"""Takes the summaries of all articles in order, INT64 (n,) each, or why there are none."""

log = logging.getLogger(__name__)


class Reply:
    """Collects the summaries of a request, and has one answer sent: with the last of them, or at the first failure.

    Args:
        rows: How many articles the request has.
        send: Sends the answer.
    """

    def __init__(self, rows: int, send: Send) -> None:
        self._send = send
        self._found: dict[int, Tokens] = {}
        self._rows = rows
        self._lock = threading.Lock()
        self.sent = False
        """Whether the answer is on its way: what is left of the request is of no use."""

    def row(self, index: int) -> Callable[[Tokens | Exception], None]:
        """What takes the summary of an article, or why there is none."""

        def take(result: Tokens | Exception) -> None:
            if isinstance(result, Exception):
                self.fail(result)
                return
            with self._lock:
                self._found[index] = result
                if self.sent or len(self._found) < self._rows:
                    return
                self.sent = True
            self._send([self._found[row] for row in range(self._rows)])

        return take

    def fail(self, error: Exception) -> None:
        """Answer with an error, where no answer was given yet."""
        with self._lock:
            if self.sent:
                return
            self.sent = True
        self._send(error)


class Outbox:
    """A thread that hands answers over, so that those who made them go on: Triton takes its time to accept one."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, hand_over: Callable[[], Any]) -> None:
        """Have this called soon, in the order of the calls."""
        self._waiting.put(hand_over)

    def close(self) -> None:
        """Come back when all that was put in is handed over."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (hand_over := self._waiting.get()) is not None:
            try:
                hand_over()
            except Exception:  # the others must not be lost with it
                log.exception("a request could not be answered")
