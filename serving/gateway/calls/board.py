"""Tells the models which callers have left.

Triton 2.51 does not hand on that a caller has left: a backend that asks other models cannot cancel what it has asked,
and only the model that was called is told. So each request has a number, its ticket, which reaches every model. When
a caller leaves, the door writes the number onto a board, and a backend looks there before it begins with a request.

The board is a file of numbers of 8 bytes. The first is where the tickets of this door begin: whatever is below it was
asked by a door that has ended, and its callers with it. `SLOTS` numbers follow, a ticket in the slot that is its
remainder. A later ticket takes the place of an earlier one: at worst a model computes something in vain. The file is
read and written by system calls and not mapped, so that a full disk or a file that was cut off is no signal that ends
a process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path
from typing import Final

SLOTS: Final = 65_536
"""More than there are requests at the same time, by far."""
_BYTES: Final = 8


class Board:
    """The door's hand on the board.

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # No door asks for more than one inference in a nanosecond: the next door's tickets are above all of this one's.
        first = time.monotonic_ns()
        self._tickets = itertools.count(first)
        self._write(0, first)

    def next_ticket(self) -> int:
        """A number for one request, from 1 and within 63 bits."""
        return next(self._tickets)

    def leave(self, ticket: int) -> None:
        """Tell the models that nobody waits for this request any more."""
        self._write(1 + ticket % SLOTS, ticket)

    def close(self) -> None:
        """Tell nothing more; whatever leaves later is not written into a file that has got its number."""
        file, self._file = self._file, -1
        os.close(file)

    def _write(self, index: int, number: int) -> None:
        with contextlib.suppress(OSError):  # a full disk: the models compute in vain, as they would without a board
            os.pwrite(self._file, number.to_bytes(_BYTES, "little"), _BYTES * index)
