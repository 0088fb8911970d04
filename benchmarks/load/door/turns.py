"""Lets threads go one after the other, in a fixed order."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Turns:
    """Whose turn it is.

    Args:
        names: Those who take turns, in their order.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._order = list(names)
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait for a turn, and end it with the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._order[0] == name)
        try:
            yield
        finally:
            with self._changed:
                self._order.append(self._order.pop(0))
                self._changed.notify_all()

    def leave(self, name: str) -> None:
        """Take no more turns."""
        with self._changed:
            self._order.remove(name)
            self._changed.notify_all()
