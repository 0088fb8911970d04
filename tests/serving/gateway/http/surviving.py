"""What must hold after thousands of changed requests, whatever they were."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.serving.gateway.http.running import RunningDoor

MAX_GROWTH_BYTES = 16 * 2**20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def survives(
    door: RunningDoor,
    send: Callable[[RunningDoor, int, int], Counter[int]],
    count: int,
    *,
    seed: int,
    answered: float,
    refused: float,
) -> None:
    """Send so many, of which more than a share is answered and another refused: no growth, no fault, no place taken."""
    send(door, 200, seed + 1)
    before = resident_bytes()
    seen = send(door, count, seed)
    assert seen[200] > count * answered
    assert seen[400] > count * refused
    assert resident_bytes() - before < MAX_GROWTH_BYTES
    assert [record.getMessage() for record in door.records] == []
    assert door.parts.room.running == door.parts.room.waiting == 0
