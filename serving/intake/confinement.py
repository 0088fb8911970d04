"""What a reading process gives up before it sees a byte of a stranger: memory, files, network, programs.

Limits (`setrlimit`), Landlock (`landlock`) and seccomp (`syscalls`) are the kernel's, and bind whatever runs in the
process. The audit hook binds its Python code alone, on every machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .landlock import read_only
from .syscalls import give_up_calls

MAX_MEMORY_BYTES: Final = 1536 * 2**20
"""Address space, of which the libraries take 180 MB."""
_MAX_FILES: Final = 64
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_REFUSED: Final = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.startfile",
    "os.kill",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "os.putenv",
    "shutil.",
    "tempfile.",
    "ctypes.",
    "ftplib.",
    "http.client.",
    "smtplib.",
    "urllib.",
    "webbrowser.",
    "pty.",
    "sqlite3.",
)
"""Beginnings of the names of audit events (https://docs.python.org/3/library/audit_events.html) that are refused."""
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def die_with(parent: int) -> bool:
    """Have the kernel kill this process when its parent ends, and before others where memory is short.

    Returns:
        Whether the parent still lives.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    return os.getppid() == parent


def confine(memory_bytes: int = MAX_MEMORY_BYTES) -> None:
    """Give up all but computing, in so much address space. There is no way back."""
    limits: Mapping[int, int] = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _MAX_FILES,
        resource.RLIMIT_NPROC: 0,  # the kernel lets root have processes all the same
    }
    for number, value in limits.items():
        _, hard = resource.getrlimit(number)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    read_only(_places())
    give_up_calls()
    _audit()


def _places() -> list[Path]:
    """Where Python and its libraries are, so that modules can still be loaded; the rest of the project is not there."""
    own, paths = Path(__file__).resolve().parents[1], sysconfig.get_paths()
    searched = [Path(place).resolve() for place in sys.path if place]
    return [
        *(Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(place for place in searched if not own.is_relative_to(place)),  # beside our code lie keys and logs
        own,
        Path(sys.base_prefix, "lib"),
        *map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo")),
        *map(Path, ("/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/urandom")),
    ]


def allow_cpu(seconds: int) -> None:
    """Let this process compute for so long from now on; then the kernel ends it (``SIGXCPU``)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def resident_bytes(statm: int) -> int:
    """How much memory this process has now.

    Args:
        statm: The open file ``/proc/self/statm``.
    """
    return int(os.pread(statm, 100, 0).split()[1]) * resource.getpagesize()


def _audit() -> None:
    """Refuse by Python's audit hook what no reading of a file needs."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            _, mode, flags = arguments
            if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITING):
                raise PermissionError("a reading process writes no files")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"a reading process may not do this: {event}")

    sys.addaudithook(hook)
