"""What the C library says of its heap, and how it is told to give back what it keeps.

Bodies and messages lie in blocks of the C library, those of gRPC's own threads too, of which Python knows nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_SPARE_BYTES: Final = 32 * 2**20
"""So much may be kept that is not in use: what comes next needs it again."""
_LOOK_EVERY_S: Final = 2.0
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class _Counts(ctypes.Structure):
    """glibc's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


_LIBRARY: Final = ctypes.CDLL(None)
_HAS_COUNTS: Final = hasattr(_LIBRARY, "mallinfo2")  # glibc 2.33 and later
if _HAS_COUNTS:
    _LIBRARY.mallinfo2.restype = _Counts


@asynccontextmanager
async def giving_back(*, every_s: float = _LOOK_EVERY_S) -> AsyncIterator[None]:
    """Inside the block, give what was freed and is still kept back to the machine, every few seconds.

    By itself glibc keeps blocks of up to 32 MiB that were freed among others that were not. Fixed thresholds
    (``MALLOC_MMAP_THRESHOLD_``) help less, and large bodies take longer with them.
    """
    task = asyncio.create_task(_give_back(every_s))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _give_back(every_s: float) -> None:
    beside_bytes = resident_bytes() - used_bytes()  # programs, stacks, and what Python has beside the heap
    while hasattr(_LIBRARY, "malloc_trim"):
        await asyncio.sleep(every_s)
        if resident_bytes() - used_bytes() > beside_bytes + _SPARE_BYTES:
            await asyncio.to_thread(_LIBRARY.malloc_trim, 0)  # it takes milliseconds, and lets other threads run


def used_bytes() -> int:
    """What is in use of the heap; where the C library does not tell, all memory of this process.

    It takes microseconds, and longer the more holes the heap has.
    """
    if _HAS_COUNTS:
        counts = _LIBRARY.mallinfo2()
        return int(counts.uordblks + counts.hblkhd)
    return resident_bytes()


def resident_bytes() -> int:
    """The memory that this process has of the machine."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
