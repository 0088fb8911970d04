"""How long a run has been worked on: the sessions of one that was interrupted are added up, the time between is not."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .output import write_whole

logger = logging.getLogger(__name__)

FILE: Final = "worked.json"
"""In a run's work folder: the seconds until now."""
_EVERY_S: Final = 10.0
"""How much a process that is killed without a word can lose."""


class Clock:
    """The time that was spent on the work in a folder, that of earlier sessions included."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._before_s = _read(self._file)
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="worked", daemon=True)
        self._keeper.start()

    @property
    def worked_s(self) -> float:
        """Seconds of work until now."""
        return self._before_s + time.monotonic() - self._began

    def stop(self) -> None:
        """Write the time down for the last time: what deletes the folder comes after this."""
        if not self._ended.is_set():
            self._ended.set()
            self._keeper.join()
            self._write()

    def _keep(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._write()

    def _write(self) -> None:
        """Write the time down, unless nothing is in the folder yet, which then says that there was no work."""
        try:
            if any(self._file.parent.iterdir()):
                write_whole(self._file, json.dumps({"worked_s": round(self.worked_s, 1)}) + "\n")
        except OSError as error:
            logger.debug("%s: cannot be written: %s", self._file, error)


@contextmanager
def clock(folder: Path) -> Iterator[Clock]:
    """Count the time of the block to the work in a folder, where the next session finds it."""
    running = Clock(folder)
    try:
        yield running
    finally:
        running.stop()


def _read(file: Path) -> float:
    try:
        return float(json.loads(file.read_text(encoding="utf-8"))["worked_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
