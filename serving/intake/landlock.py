"""Which files a process may still open, told to the kernel (https://docs.kernel.org/userspace-api/landlock.html).

It binds the parsers that are written in C too. Kernels before 5.13 do not have it, and some are built without.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_FILE_RIGHTS: Final = ((5, 16), (3, 15), (2, 14), (1, 13))
"""How many rights about files there are from each version on."""
_NETWORK_SINCE: Final = 4
_BIND_AND_CONNECT: Final = 0b11
_SCOPES_SINCE: Final = 6
_SOCKETS_AND_SIGNALS: Final = 0b11


class _Ruleset(ctypes.Structure):
    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_: ClassVar[list[tuple[str, Any]]] = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def read_only(places: Iterable[Path]) -> bool:
    """Leave this process nothing of all files but reading what lies in some places; there is no way back.

    It must have no new privileges (``PR_SET_NO_NEW_PRIVS``). Where the kernel can, TCP and signals to others go too.

    Args:
        places: Folders, with all that is in them, and files; those that are not there are passed over.

    Returns:
        Whether the kernel did it.
    """
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if version < 1:
        return False
    rights = (1 << next(count for since, count in _FILE_RIGHTS if version >= since)) - 1
    fields = 3 if version >= _SCOPES_SINCE else 2 if version >= _NETWORK_SINCE else 1
    rules = _Ruleset(rights, _BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS)
    ruleset = library.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(8 * fields), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for place in places:
            _allow(library, ruleset, place)
        return bool(library.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _allow(library: ctypes.CDLL, ruleset: int, place: Path) -> None:
    try:
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        rule = _PathBeneath(_READ_FILE | _READ_FOLDER if folder else _READ_FILE, handle)
        library.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(handle)
