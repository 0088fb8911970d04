"""How the allocator of the C library treats the blocks of tensors."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import Final

_LARGE_BYTES: Final = 2 << 20
_KEPT_BYTES: Final = 64 << 20
# Names and numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_CHOSEN: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
"""glibc's environment variables of the same bounds."""


def return_early() -> None:
    """Have the blocks of large tensors go back to the system as soon as they are free, in this process.

    glibc moves its bound for that up to the largest block that was freed, 32 MB at most. The batches of a small model
    have another length at each step, and below the bound what is free fits none of the next: a run of 3.5 million
    parameters keeps a tenth more than it uses. Other C libraries are left as they are, and so are bounds that the
    environment sets: where the system takes long to give memory, keeping it is much faster.
    """
    if any(name in os.environ for name in _CHOSEN):
        return
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def return_free() -> None:
    """Give back to the system what is free, after work that needed much memory for a time."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
