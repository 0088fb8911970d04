"""Tells the door what a backend counts: in a small file, since metrics of its own hang Triton 2.51.

The file is JSON, named after the model, in the folder that the environment variable ``INFOLENS_COUNTS`` names. It is
written beside its place and renamed into it: when something has changed, and every few seconds anyway, so that one that
is old is of a process that has ended. The latest process of a model has the file; one that is being replaced, and runs
on for a moment, leaves it alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

VARIABLE = "INFOLENS_COUNTS"
LOOK_EVERY_S = 1.0
WRITE_EVERY_S = 2.0


class Counts:
    """Keeps the file of one model.

    Args:
        path: The file; None writes none.
        read: What is counted, by name.
        now: The clock that all processes of the machine share, in seconds.
    """

    def __init__(
        self, path: Path | None, read: Callable[[], Mapping[str, int]], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._read, self._now = path, read, now
        self._began_s = now()
        self._last: Mapping[str, int] = {}
        self._written_s = -1e9
        self._end = threading.Event()
        self._looking = threading.Lock()  # two who write one file make none
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look from now on, in a thread."""
        if self._path is not None:
            self._thread = threading.Thread(target=self._run, name="counts", daemon=True)
            self._thread.start()

    def look(self) -> bool:
        """Write the file if there is news, or if it is getting old; False when another process has it now."""
        with self._looking:
            return self._look()

    def _look(self) -> bool:
        path, now_s, counted = self._path, self._now(), self._read()
        if path is None or (counted == self._last and now_s - self._written_s < WRITE_EVERY_S):
            return True
        # One that begins in the future is left from before the machine was started anew.
        if self._began_s < _began_s(path) <= now_s:
            return False
        document = {"began_s": self._began_s, "written_s": now_s, "counted": dict(counted)}
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        # A full disk, or a folder that somebody has deleted: then nothing is told.
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(document), encoding="utf-8")
            partial.replace(path)
            self._last, self._written_s = counted, now_s
        return True

    def close(self) -> None:
        """Look no more, and take the file away if it is this process's."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        if self._path is not None and _began_s(self._path) == self._began_s:
            self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        going = self.look()
        while going and not self._end.wait(LOOK_EVERY_S):
            going = self.look()


def counts_path(model: str) -> Path | None:
    """Where a model's file is; None where the server has no door that reads it."""
    folder = os.environ.get(VARIABLE, "")
    return Path(folder, f"{model}.json") if folder else None


def _began_s(path: Path) -> float:
    """When the process began whose file this is; long ago where there is none that can be read."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["began_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1e9
