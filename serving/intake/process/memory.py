"""How much memory a reading process may have where this one has only so much (a container, a service of systemd)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from serving.intake.confinement import MAX_MEMORY_BYTES

_MIB: Final = 2**20
LEAST_MEMORY_BYTES: Final = 384 * _MIB
"""Less would not do: the libraries take 180 MiB of address space."""
_DOOR_BYTES: Final = 256 * _MIB
"""What the door itself needs."""
_GROUPS: Final = Path("/sys/fs/cgroup")


def memory_each(processes: int, groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """The address space of each of so many processes, in bytes.

    They share what the control group of this process may have (https://docs.kernel.org/admin-guide/cgroup-v2.html):
    beyond it the kernel would end the door with them.

    Args:
        processes: How many there are.
        groups: Where control groups are.
        own: Where the own one is named.
    """
    limit = _limit(groups, own)
    if limit is None:
        return MAX_MEMORY_BYTES
    return min(MAX_MEMORY_BYTES, max(LEAST_MEMORY_BYTES, (limit - _DOOR_BYTES) // processes))


def _limit(groups: Path, own: Path) -> int | None:
    """The least limit of the own group and those above it; None where there is none."""
    try:
        name = next(line for line in own.read_text().splitlines() if line.startswith("0::")).removeprefix("0::/")
    except (OSError, StopIteration):
        return None
    folder = groups / name
    limits = []
    for place in (folder, *folder.parents):
        try:
            limits.append(int((place / "memory.max").read_text()))
        except (OSError, ValueError):  # there is none, or "max"
            continue
    return min(limits, default=None)
