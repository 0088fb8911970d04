"""CPU time and memory of every process of a server, by the model that it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

STUB: Final = "triton_python_backend_stub"
"""Name of the process in which Triton's Python backend runs one instance of a model."""
PARTS: Final = {"serving": "launcher", "serving.gateway": "door", "serving.supervisor.watcher": "watcher"}
"""The modules that a server's own processes run, and what they are called here."""


@dataclass(frozen=True, kw_only=True)
class ProcessUse:
    """What one process, or several of one name, used while they were watched."""

    name: str
    processes: int
    cpu_s: float
    """Seconds of CPU time, user and system."""
    cores: float
    """CPU time by elapsed time: 1.0 is one core, all the time."""
    memory_bytes: int
    """Proportional set size at the end: shared pages count once over all who share them."""
    peak_memory_bytes: int
    """The largest proportional set size that was seen."""


@dataclass
class _Seen:
    processes: int = 0
    cpu_s: float = 0.0
    memory_bytes: int = 0


class ProcessWatch:
    """Watches a process and all below it.

    Args:
        pid: The launcher of a server.
        interval_s: Seconds between two looks at the memory.
    """

    def __init__(self, pid: int, *, interval_s: float = 1.0) -> None:
        self._root = psutil.Process(pid)
        self._interval_s = interval_s
        self._done = threading.Event()
        self._peaks: dict[str, int] = {}
        self.memory: list[tuple[float, int]] = []
        """Seconds since the start, and bytes of all processes together."""

    @contextmanager
    def running(self) -> Iterator[ProcessWatch]:
        """Watch while the block runs; afterwards `used` tells what was seen."""
        thread = threading.Thread(target=self._watch, name="process-watch", daemon=True)
        self._started_s = time.monotonic()
        self._first = _look(self._root)
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()
            self._last = _look(self._root)
            self._elapsed_s = time.monotonic() - self._started_s
            self._note(self._last)

    def used(self) -> list[ProcessUse]:
        """What each kind of process used, the busiest first; call it after the block."""
        found = []
        for name, last in self._last.items():
            cpu_s = last.cpu_s - self._first.get(name, _Seen()).cpu_s
            found.append(
                ProcessUse(
                    name=name,
                    processes=last.processes,
                    cpu_s=cpu_s,
                    cores=cpu_s / self._elapsed_s,
                    memory_bytes=last.memory_bytes,
                    peak_memory_bytes=self._peaks[name],
                )
            )
        return sorted(found, key=lambda use: -use.cpu_s)

    def _watch(self) -> None:
        while not self._done.wait(self._interval_s):
            self._note(_look(self._root))

    def _note(self, seen: dict[str, _Seen]) -> None:
        for name, one in seen.items():
            self._peaks[name] = max(self._peaks.get(name, 0), one.memory_bytes)
        total_bytes = sum(one.memory_bytes for one in seen.values())
        self.memory.append((time.monotonic() - self._started_s, total_bytes))


def _look(root: psutil.Process) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for process in (root, *root.children(recursive=True)):
        try:
            with process.oneshot():
                name, times = process_name(process), process.cpu_times()
                memory_bytes = process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        one = found.setdefault(name, _Seen())
        one.processes += 1
        one.cpu_s += times.user + times.system
        one.memory_bytes += memory_bytes
    return found


def process_name(process: psutil.Process) -> str:
    """The model of a stub (``bart``), the part of the server (``launcher``, ``door``, ``watcher``), else its program.

    Raises:
        psutil.NoSuchProcess: It has ended.
    """
    words = process.cmdline()
    if not words:
        return str(process.name())
    if Path(words[0]).name == STUB:
        # The last word but one is <model>_<instance group>_<instance>.
        return str(words[-2]).rsplit("_", 2)[0]
    return next((PARTS[word] for word in words if word in PARTS), Path(words[0]).name)
