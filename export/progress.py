"""Log messages about the progress of an export: each long step, and how many seconds it took."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOG = logging.getLogger(__name__)

_UNITS: Final = ((1e9, "GB", 2), (1e6, "MB", 1), (1e3, "kB", 1))


@contextmanager
def step(what: str) -> Iterator[None]:
    """Log the start of a step, and at its end how many seconds it took."""
    _LOG.info("%s ...", what)
    start = time.perf_counter()
    yield
    _LOG.info("%s: done in %.1f s", what, time.perf_counter() - start)


def size(count: int) -> str:
    """A number of bytes in a readable unit, such as ``1.63 GB``."""
    for unit, name, digits in _UNITS:
        if count >= unit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count} bytes"
