"""CPU time and memory of a process and of all below it; of a server, by the model that each runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
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
    """At the end."""
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
    """One process."""

    name: str
    first_cpu_s: float
    cpu_s: float
    memory_bytes: int


class ProcessWatch:
    """Watches a process and all below it, those too that end meanwhile.

    Args:
        pid: The first of them, as the launcher of a server.
        interval_s: Seconds between two looks; each costs some milliseconds of CPU time.
    """

    def __init__(self, pid: int, *, interval_s: float = 1.0) -> None:
        self._root = psutil.Process(pid)
        self._interval_s = interval_s
        self._done = threading.Event()
        self._seen: dict[psutil.Process, _Seen] = {}
        self._here: set[psutil.Process] = set()
        self._peaks: dict[str, int] = {}
        self.memory: list[tuple[float, int]] = []
        """Seconds since the start, and bytes of all processes together."""

    @contextmanager
    def running(self) -> Iterator[ProcessWatch]:
        """Watch while the block runs; afterwards `used` tells what was seen."""
        thread = threading.Thread(target=self._watch, name="process-watch", daemon=True)
        self._started_s = time.monotonic()
        self._look()
        for one in self._seen.values():
            one.first_cpu_s = one.cpu_s
        thread.start()
        try:
            yield self
        finally:
            self._done.set()
            thread.join()
            self._look()
            self._elapsed_s = time.monotonic() - self._started_s

    @property
    def peak_bytes(self) -> int:
        """The most that all had at a time."""
        return max((used for _, used in self.memory), default=0)

    @property
    def cpu_s(self) -> float:
        """CPU time of all while they were watched, as of the last look at each."""
        return sum(one.cpu_s - one.first_cpu_s for one in self._seen.values())

    def used(self) -> list[ProcessUse]:
        """What each kind of process used, the busiest first; call it after the block."""
        found = []
        for name in self._peaks:
            of_name = {process: one for process, one in self._seen.items() if one.name == name}
            here = [one for process, one in of_name.items() if process in self._here]
            cpu_s = sum(one.cpu_s - one.first_cpu_s for one in of_name.values())
            found.append(
                ProcessUse(
                    name=name,
                    processes=len(here),
                    cpu_s=cpu_s,
                    cores=cpu_s / self._elapsed_s,
                    memory_bytes=sum(one.memory_bytes for one in here),
                    peak_memory_bytes=self._peaks[name],
                )
            )
        return sorted(found, key=lambda use: -use.cpu_s)

    def _watch(self) -> None:
        while not self._done.wait(self._interval_s):
            self._look()

    def _look(self) -> None:
        together: Counter[str] = Counter()
        here = set()
        for process in _tree(self._root):
            try:
                with process.oneshot():
                    name, times = process_name(process), process.cpu_times()
                    memory_bytes = process.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            one = self._seen.setdefault(process, _Seen(name, 0.0, 0.0, 0))
            one.name, one.cpu_s, one.memory_bytes = name, times.user + times.system, memory_bytes
            here.add(process)
            together[name] += memory_bytes
        self._here = here
        for name, total_bytes in together.items():
            self._peaks[name] = max(self._peaks.get(name, 0), total_bytes)
        self.memory.append((time.monotonic() - self._started_s, together.total()))


def _tree(root: psutil.Process) -> tuple[psutil.Process, ...]:
    try:
        return (root, *root.children(recursive=True))
    except psutil.NoSuchProcess:
        return ()


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
