"""Hands on what a program writes into its log, for whoever collects what a container says."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

MOST_BYTES: Final = 8 * 2**20
"""A log is emptied when it is longer and all of it was handed on: in a container nobody else does so."""
_LOOK_S: Final = 0.2


@contextmanager
def followed(path: Path, output: BinaryIO, *, most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Copy what is added to a log while the block runs, to the last line.

    Args:
        path: The log; it may come later, and may be emptied by others. Whoever writes it must append.
        output: Where its bytes go.
        most_bytes: As `MOST_BYTES`.
    """
    end = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, output, most_bytes, end), name="triton-log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _follow(path: Path, output: BinaryIO, most_bytes: int, end: threading.Event) -> None:
    position = 0
    while True:
        last = end.wait(_LOOK_S)
        with contextlib.suppress(OSError):  # no log yet, or nobody reads: the next look may find it better
            size = path.stat().st_size
            position = position if position <= size else 0
            if size > position:
                with path.open("rb") as file:
                    file.seek(position)
                    content = file.read(size - position)
                position += len(content)
                output.write(content)
                output.flush()
            if position > most_bytes and path.stat().st_size == position:
                os.truncate(path, 0)
                position = 0
        if last:
            return
