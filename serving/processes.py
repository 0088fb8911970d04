"""Triton's processes and shared memory, read from ``/proc`` and ``/dev/shm``: which are its own, how they are ended.

A Python-based model runs in processes of its own (*stubs*), children of Triton in its process group. Each shares one
file in ``/dev/shm`` with Triton, named on its command line. A Triton that is killed leaves both behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (where Linux keeps shared memory)
_REGION: Final = re.compile(r"triton_[\w.-]+_shm_region_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STUB: Final = "triton_python_backend_stub"
_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A line of the process table."""

    pid: int
    parent: int
    group: int
    state: str
    """The kernel's letter: R runs, S sleeps, T is stopped, Z has ended and was not collected."""
    processor_s: float
    """Time of the processor that it used so far."""


@dataclass(frozen=True, kw_only=True)
class Stub:
    """A process that runs one instance of a model."""

    pid: int
    model: str
    version: str
    region: str
    """Name of its file in ``/dev/shm``."""
    stopped: bool
    processor_s: float


def read_process(pid: int) -> Process | None:
    """The process ``pid``; ``None`` when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (read many times a second)
            fields = file.read().decode(errors="replace").rsplit(")", 1)[1].split()
    except OSError as error:
        _require_gone(error)
        return None
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        state=fields[0],
        processor_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
    )


def members(group: int) -> list[int]:
    """The processes of a process group that have not ended."""
    found = (read_process(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    return [process.pid for process in found if process and process.group == group and process.state not in "ZX"]


def stubs_of(server_pid: int) -> list[Stub]:
    """The stubs of a Triton that are alive."""
    found = (read_stub(pid) for pid in _children(server_pid))
    return [stub for stub in found if stub is not None]


def read_stub(pid: int) -> Stub | None:
    """The stub with this process id; ``None`` when it has ended or is something else."""
    return _stub(pid, _command_line(pid))


def parse_stub(process: Process, words: list[str]) -> Stub | None:
    """A stub from its command line: ``STUB REPOSITORY/MODEL/VERSION/FILE REGION ...``; ``None`` for anything else."""
    if len(words) < 3 or Path(words[0]).name != _STUB:
        return None
    path = Path(words[1])
    return Stub(
        pid=process.pid,
        model=path.parent.parent.name,
        version=path.parent.name,
        region=words[2],
        stopped=process.state == "T",
        processor_s=process.processor_s,
    )


def regions_of(pid: int) -> set[str]:
    """The files in ``/dev/shm`` that Triton or a stub has mapped."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    names = (Path(line.rpartition(" ")[2]) for line in lines if f" {SHARED_MEMORY}/" in line)
    return {path.name for path in names if _REGION.fullmatch(path.name)}


def remove_regions(names: Iterable[str]) -> list[str]:
    """Remove shared memory by its names; those that were there. A name that Triton does not give is left alone."""
    removed = []
    for name in sorted(names):
        if _REGION.fullmatch(name):
            with contextlib.suppress(OSError):
                (SHARED_MEMORY / name).unlink()
                removed.append(name)
    return removed


def kill_group(group: int, *, wait_s: float = 5.0) -> list[int]:
    """Kill what is left of a process group and wait for its end; the processes that were there."""
    left = members(group)
    deadline = time.monotonic() + wait_s
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


class StubTable:
    """The stubs of one Triton, for somebody who looks often.

    It reads those that it knows at every look and searches for new ones less often, since Triton has hundreds of
    threads, and the kernel keeps the children of each apart.

    Args:
        server_pid: Triton.
        search_s: Between two searches.
    """

    def __init__(self, server_pid: int, search_s: float) -> None:
        self.server_pid = server_pid
        self._search_s = search_s
        self._searched_s = float("-inf")
        self._words: dict[int, list[str]] = {}

    def look(self, now_s: float, *, search: bool = False) -> list[Stub]:
        """The stubs that are alive.

        Args:
            now_s: The time of the monotonic clock.
            search: Whether to search for new ones now in any case.
        """
        stubs = self._known()
        # Where one has ended, another may have taken its place.
        if search or len(stubs) < len(self._words) or now_s - self._searched_s >= self._search_s:
            self._searched_s = now_s
            found = {pid: self._words.get(pid) or _command_line(pid) for pid in _children(self.server_pid)}
            # A child is no stub yet between its birth and its becoming one.
            self._words = {pid: words for pid, words in found.items() if Path(words[0]).name == _STUB}
            stubs = self._known()
        return stubs

    def _known(self) -> list[Stub]:
        stubs = (_stub(pid, words) for pid, words in self._words.items())
        return [stub for stub in stubs if stub is not None]


def _stub(pid: int, words: list[str]) -> Stub | None:
    process = read_process(pid)
    return None if process is None or process.state in "ZX" else parse_stub(process, words)


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError as error:
        _require_gone(error)
        return [""]


def _require_gone(error: OSError) -> None:
    """Raise an error that says nothing of the process that was looked at, but that no file can be opened just now."""
    if error.errno in _SHORTAGES:
        raise error


def _children(pid: int) -> list[int]:
    """The children of a process: from the kernel's own lists, or from the whole table where it keeps none."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (hundreds of threads, several times a second)
    except OSError as error:
        _require_gone(error)
        return []
    if threads and not Path(f"/proc/{pid}/task/{threads[0]}/children").exists():
        table = (read_process(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
        return [process.pid for process in table if process is not None and process.parent == pid]
    for thread in threads:
        try:
            file = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY)
        except OSError as error:
            _require_gone(error)
            continue
        try:
            with contextlib.suppress(OSError):
                found += map(int, os.read(file, 2**16).split())
        finally:
            os.close(file)
    return found


def how_it_ended(code: int) -> str:
    """The end of a process in words: ``ended with exit code 3``, ``was ended by SIGKILL``."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def write_private(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON document, readable for this user alone, beside its place and renamed into it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.rename(path)
