"""What an engine counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """An engine at one moment; what is counted is counted since it was opened.

    The numbers are read while other threads write them, so that they may be a step apart from one another.
    """

    slots: int
    """Places for articles in the buffers that exist now."""
    busy: int
    """Articles that have one, or are about to be put into one."""
    waiting: int
    """Articles that have none yet."""
    steps: int
    """Steps of executors."""
    slot_steps: int
    """Articles that these steps continued, each counted in each of its steps."""
    joined: int
    """Articles that got a slot."""
    answered: int
    """Summaries."""
    refused: int
    """Articles that did not fit, or found the queue full."""
    cancelled: int
    expired: int
    failed: int
    """Articles whose executor raised, or whose engine was closed."""
    replaced: int
    """Executors that were given up since they raised."""


@dataclass(kw_only=True)
class Counters:
    """What one thread counts; only that thread writes it."""

    slots: int = 0
    steps: int = 0
    slot_steps: int = 0
    joined: int = 0
    answered: int = 0
    refused: int = 0
    cancelled: int = 0
    expired: int = 0
    failed: int = 0
    replaced: int = 0


COUNTED: Final = tuple(field.name for field in fields(Counters))
"""The names that `Statistics` and `Counters` share."""
