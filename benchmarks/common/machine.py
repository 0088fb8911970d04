"""Name the machine that a figure comes from."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CPU: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a reader must know of a machine to compare figures."""

    cpu: str
    cores: int
    """Cores that this process may use."""
    memory_bytes: int
    system: str

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB, {self.system}"


def this_machine() -> Machine:
    """The machine that this process runs on."""
    cpu = _described("model name") or platform.processor() or platform.machine()
    return Machine(
        cpu=cpu,
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.machine()}",
    )


def processor_flags() -> frozenset[str]:
    """What the processor can do, in Linux's words, such as ``amx_int8``; empty where Linux does not say."""
    return frozenset(_described("flags").split())


def _described(name: str) -> str:
    """An entry of the first processor's description; empty without one."""
    if not _CPU.exists():
        return ""
    lines = _CPU.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def chromium() -> str | None:
    """The program of the browser in which pages are measured; None where none is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
