"""What a soak looks at besides the answers: the server's processes and shared memory, and the machine."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.common.processes import process_name

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory
_BLOCK: Final = bytes(4 * 2**20)
_SECTOR_BYTES: Final = 512
"""The unit in which Linux counts the blocks of a file."""


@dataclass(frozen=True, kw_only=True)
class ProcessLook:
    """The processes of one name at a moment."""

    name: str
    """As of `benchmarks.common.processes.process_name`."""
    processes: int
    anonymous_bytes: int
    """Memory of their own: anonymous pages, those in swap too. Pages of files are not among it, since the kernel keeps
    and drops those as it likes, nor is shared memory, which is counted once, by `ServerLook.shared_bytes`."""
    pss_bytes: int
    """Proportional set size: all pages, each by the number of those who share it."""
    threads: int
    files: int
    """Open file descriptors."""
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class ServerLook:
    """The whole server at a moment."""

    processes: tuple[ProcessLook, ...]
    shared_bytes: int
    """Pages of its files in ``/dev/shm`` that were ever written, each file once."""
    shared_size_bytes: int
    """Size of these files."""
    replaced: tuple[str, ...]
    """Names of processes that were not there at the first look."""

    @property
    def memory_bytes(self) -> int:
        """All that it holds for itself: anonymous and shared memory."""
        return self.shared_bytes + sum(one.anonymous_bytes for one in self.processes)

    def total(self, name: str, field: str) -> float:
        """One number of the processes of a name; 0 where there are none."""
        return float(sum(getattr(one, field) for one in self.processes if one.name == name))

    @property
    def cpu_s(self) -> float:
        """CPU time of all processes since they were started."""
        return sum(one.cpu_s for one in self.processes)


class ServerWatch:
    """Looks at a process and all below it.

    Args:
        pid: The launcher of a server.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._first: set[psutil.Process] | None = None
        self._replaced: dict[psutil.Process, str] = {}
        # Also what nobody has mapped any more: the memory of a process that was killed stays.
        self._shared: set[Path] = set()

    def look(self) -> ServerLook:
        """What the server uses now; nothing when it has ended."""
        found: dict[str, ProcessLook] = {}
        names: dict[psutil.Process, str] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (self._root, *self._root.children(recursive=True)):
                # Unequal for two processes of one number, since psutil compares when they were started, too.
                with contextlib.suppress(
                    psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError, FileNotFoundError
                ):
                    names[process] = process_name(process)
                    one = _look(process, names[process])
                    found[one.name] = _together(found[one.name], one) if one.name in found else one
                    self._shared |= _mapped(process.pid)
        if self._first is None:
            self._first = set(names)
        self._replaced |= {process: name for process, name in names.items() if process not in self._first}
        stats = []
        for path in self._shared:
            with contextlib.suppress(FileNotFoundError):
                stats.append(path.stat())
        return ServerLook(
            processes=tuple(sorted(found.values(), key=lambda one: -one.anonymous_bytes)),
            shared_bytes=sum(_SECTOR_BYTES * one.st_blocks for one in stats),
            shared_size_bytes=sum(one.st_size for one in stats),
            replaced=tuple(sorted(self._replaced.values())),
        )


def _look(process: psutil.Process, name: str) -> ProcessLook:
    with process.oneshot():
        times = process.cpu_times()
        memory = _rollup(process.pid)
        return ProcessLook(
            name=name,
            processes=1,
            anonymous_bytes=memory["Pss_Anon"] + memory["SwapPss"],
            pss_bytes=memory["Pss"],
            threads=process.num_threads(),
            files=process.num_fds(),
            cpu_s=times.user + times.system,
        )


def _together(one: ProcessLook, other: ProcessLook) -> ProcessLook:
    numbers = ("processes", "anonymous_bytes", "pss_bytes", "threads", "files", "cpu_s")
    return ProcessLook(name=one.name, **{name: getattr(one, name) + getattr(other, name) for name in numbers})


def _rollup(pid: int) -> Mapping[str, int]:
    """The kernel's sums over the memory of a process, in bytes; psutil gives no ``Pss_Anon``."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
    words = (line.split() for line in lines)
    return {name.removesuffix(":"): 1024 * int(kilobytes) for name, kilobytes, _ in words}


def _mapped(pid: int) -> set[Path]:
    """The files in ``/dev/shm`` that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    return {Path(line.rpartition(" ")[2]) for line in lines if f" {SHARED_MEMORY}/" in line and "(deleted)" not in line}


class MachineWatch:
    """What the machine does beside the server, from one look to the next."""

    def __init__(self) -> None:
        self._times = psutil.cpu_times()
        self._own_s = time.process_time()

    def steal_share(self) -> float:
        """Share of the processor's time that the host of a virtual machine gave to others, since the last call."""
        before, self._times = self._times, psutil.cpu_times()
        passed = [now - then for now, then in zip(self._times, before, strict=True)]
        return float(getattr(self._times, "steal", 0.0) - getattr(before, "steal", 0.0)) / (sum(passed) or 1.0)

    def own_cpu_s(self) -> float:
        """CPU time of this process, the load generator, since the last call."""
        before, self._own_s = self._own_s, time.process_time()
        return self._own_s - before


def calibrate_ms() -> float:
    """CPU time of a fixed piece of work, SHA-256 over 4 MiB: what grows with it is the machine's, not the server's."""
    times_ms = []
    for _ in range(3):
        start_s = time.thread_time()
        hashlib.sha256(_BLOCK).digest()
        times_ms.append(1e3 * (time.thread_time() - start_s))
    return min(times_ms)
