"""What callers are told of what they gave in, and what the metrics say of all of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from serving.feedback.keeping import Outcome, Written

Where = Literal["database", "spool"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """Something is kept: committed by the database, or on the disk in the spool."""

    where: Where
    written: Written | None = None
    """What the database made of it; None in the spool, where nobody knows yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How the keeper is."""

    away: bool = False
    """Whether the database does not answer, or answers with errors."""
    queued: int = 0
    """Entries that neither the database nor the spool has yet."""
    spooled_entries: int = 0
    spooled_bytes: int = 0
    spool_limit_bytes: int = 0
    """The spool has no more bytes; 0 where there is none."""
    dropped: int = 0
    """Predictions that nobody could take, since the door started."""
    refused: int = 0
    """Entries that the database takes in no way, though it took their neighbours."""
    torn: int = 0
    """Lines of the spool that a crash or a broken disk has left unreadable."""
    kept: int = 0
    """Entries that the database has taken, since the door started."""
    repeated: int = 0
    """Entries that it had already."""


class Counts:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = {"dropped": 0, "refused": 0, "kept": 0, "repeated": 0}

    def add(self, what: str, number: int = 1) -> None:
        """Count something.

        Raises:
            KeyError: Nothing of this name is counted.
        """
        with self._lock:
            self._numbers[what] += number

    def written(self, outcome: Outcome) -> None:
        """Count an entry that the database has taken, or had."""
        if outcome in (Outcome.KEPT, Outcome.REPEATED):
            self.add(outcome.value)

    def numbers(self) -> dict[str, int]:
        """All counts by name, which are those of `Standing`."""
        with self._lock:
            return dict(self._numbers)
