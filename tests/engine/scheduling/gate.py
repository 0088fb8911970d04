"""An executor that waits to be let through, step by step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engine.scheduling.engine import Engine

from .fake import Fake, article, plan


class Gate:
    """Holds up the thread of an executor before each step, until it is let through."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrived = self._allowed = 0

    def __call__(self, method: str) -> None:
        if method == "step":
            with self._changed:
                self._arrived += 1
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: self._allowed >= self._arrived, timeout=20)

    def wait(self, steps: int) -> None:
        """Until the executor is about to take this step, the first being 1."""
        with self._changed:
            self._allowed = max(self._allowed, steps - 1)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._arrived >= steps, timeout=20)

    def allow(self, steps: int) -> None:
        """Let all steps through up to this one."""
        with self._changed:
            self._allowed = steps
            self._changed.notify_all()

    def open(self) -> None:
        self.allow(10**9)


LONG: Final = article(19, max_length=21)
"""Its summary takes 20 steps."""
SHORT: Final = article(5, max_length=2)
"""Its summary takes one."""


def engine_of(
    gate: Callable[[str], None], *beams: int, log: list[tuple[str, int]] | None = None, **changes: Any
) -> Engine:
    clock = changes.pop("clock", lambda: 0.0)
    return Engine(plan(partial(Fake, trouble=gate, log=log), *beams, **changes), clock=clock)
