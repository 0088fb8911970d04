"""What waits to be written: it takes entries without waiting, up to a number and a size."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from serving.feedback.records import Entry, Prediction
from serving.feedback.spool.segments import about

from .receipts import Receipt

MAX_ENTRIES: Final = 4096
"""Predictions are taken up to this number; what people say, of which there is far less, up to twice as many."""
MAX_BYTES: Final = 32 * 2**20
"""Predictions are taken up to this size, texts included."""
_OVERHEAD_BYTES: Final = 2048
"""About what an entry has besides its text."""


@dataclass(eq=False, kw_only=True, slots=True)
class Item:
    """One entry on its way."""

    entry: Entry
    text: str = ""
    """The text of a prediction, until its tallies are made."""
    title: str | None = None
    told: Callable[[Receipt | Exception], None] | None = None
    """Told what came of it, in another thread; None where nobody waits."""
    left: bool = False
    """Whether nobody wants it to be kept any more."""

    @property
    def size_bytes(self) -> int:
        """About how much memory it takes."""
        text = self.entry.text if isinstance(self.entry, Prediction) else None
        return _OVERHEAD_BYTES + len(text or self.text)


class Queue:
    """Entries in their order, put in by one thread and taken out by another."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._taken: Sequence[Item] = ()
        self._bytes = 0
        self._asked = 0
        """How many have somebody who waits for them."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._items) + len(self._taken)

    def put(self, item: Item) -> bool:
        """Append an item; returns whether there was room for it. It never waits."""
        with self._changed:
            full = len(self._items) >= self._max_entries or self._bytes >= self._max_bytes
            if self._closed or (full if item.told is None else len(self._items) >= 2 * self._max_entries):
                return False
            self._items.append(item)
            self._bytes += item.size_bytes
            self._asked += item.told is not None
            self._changed.notify()
            return True

    def take(self, most: int, linger_s: float) -> Sequence[Item]:
        """Take the first items once there are some; none where it is closed and empty.

        They count as queued until `done` is called.

        Args:
            most: No more are taken at once.
            linger_s: So long others are waited for while nobody waits for those that are there.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if not self._hurries(most):
                self._changed.wait_for(lambda: self._hurries(most), linger_s)
            self._taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._bytes -= sum(item.size_bytes for item in self._taken)
            self._asked -= sum(item.told is not None for item in self._taken)
            return self._taken

    def done(self) -> None:
        """What was taken is elsewhere."""
        with self._changed:
            self._taken = ()

    def close(self) -> None:
        """Take nothing more in."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def of(self, prediction_id: str) -> list[Entry]:
        """What waits of a prediction, in its order."""
        with self._changed:
            entries = [item.entry for item in (*self._taken, *self._items) if not item.left]
        return [one for one in entries if about(one) == prediction_id]

    def _hurries(self, most: int) -> bool:
        return self._closed or self._asked > 0 or len(self._items) >= most
