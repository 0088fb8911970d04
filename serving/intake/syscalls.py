"""Calls of the kernel that a process gives up, by seccomp (https://docs.kernel.org/userspace-api/seccomp_filter.html)."""

from __future__ import annotations

import ctypes
import errno
import platform
from collections.abc import Mapping
from typing import Any, ClassVar, Final

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_LOAD: Final = 0x20
_JUMP_EQUAL: Final = 0x15
_JUMP_AT_LEAST: Final = 0x35
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_X32: Final = 0x40000000
"""From here on x86-64 has its calls a second time."""
# pidfd_send_signal, io_uring_setup, open_tree, move_mount, fsopen, clone3, pidfd_getfd, mount_setattr
_SAME: Final = (424, 425, 428, 429, 430, 435, 438, 442)
_NUMBERS: Final[Mapping[str, tuple[int, tuple[int, ...]]]] = {
    "x86_64": (
        0xC000003E,
        (
            *(41, 42, 49, 50, 53),  # socket, connect, bind, listen, socketpair
            *(56, 57, 58, 59, 322),  # clone, fork, vfork, execve, execveat
            *(62, 101, 200, 310, 311),  # kill, ptrace, tkill, process_vm_readv, process_vm_writev
            *(76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94),  # truncate, rename, mkdir ... chmod, chown
            *(133, 258, 259, 260, 263, 264, 265, 266, 268, 316),  # the same of mknod, and with folders
            *(165, 166, 175, 248, 249, 250, 272, 298, 304, 308, 313, 319, 321, 323),  # mount, modules, keys, bpf ...
            *_SAME,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(198, 199, 200, 201, 203),  # socket, socketpair, bind, listen, connect
            *(220, 221, 281),  # clone, execve, execveat
            *(117, 129, 130, 270, 271),  # ptrace, kill, tkill, process_vm_readv, process_vm_writev
            *(33, 34, 35, 36, 37, 38, 45, 46, 52, 53, 54, 55, 276),  # mknodat, mkdirat, unlinkat ... fchown, renameat2
            *(39, 40, 97, 105, 217, 218, 219, 241, 265, 268, 273, 279, 280, 282),  # mount, modules, keys, bpf ...
            *_SAME,
        ),
    ),
}
"""By machine: its name for the kernel's audit, and the numbers of calls (asm/unistd.h)."""


class _Instruction(ctypes.Structure):
    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("length", ctypes.c_ushort),
        ("filter", ctypes.POINTER(_Instruction)),
    ]


def give_up_calls() -> bool:
    """Have the kernel refuse network, programs, threads, signals and changes of files; there is no way back.

    The process must have no new privileges (``PR_SET_NO_NEW_PRIVS``).

    Returns:
        Whether the kernel does it; on machines other than x86-64 and 64-bit ARM it is not asked.
    """
    if platform.machine() not in _NUMBERS:
        return False
    architecture, numbers = _NUMBERS[platform.machine()]
    instructions = _program(architecture, numbers)
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _program(architecture: int, numbers: tuple[int, ...]) -> list[_Instruction]:
    """Refuse these calls, and all in another architecture's numbers; allow the rest."""
    checks = [(_JUMP_AT_LEAST, _X32), *((_JUMP_EQUAL, number) for number in numbers)]
    count = len(checks)
    return [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT),
        _Instruction(_JUMP_EQUAL, 0, count + 2, architecture),  # over the loading, the checks and the leave
        _Instruction(_LOAD, 0, 0, _NUMBER_AT),
        *(_Instruction(code, count - place, 0, value) for place, (code, value) in enumerate(checks)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _REFUSE),
    ]
