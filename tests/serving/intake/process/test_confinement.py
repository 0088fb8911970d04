"""What a reading process can no longer do once it is confined: tried from within."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from serving.intake.confinement import MAX_MEMORY_BYTES
from serving.runtime import ROOT

_TRY = """
import ctypes, json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
from serving.intake.confinement import allow_cpu, confine, die_with
assert die_with(os.getppid())
library = ctypes.CDLL(None, use_errno=True)
raw = {{name: getattr(library, name) for name in ("socket", "fork", "execve", "kill", "open", "unlink", "mkdir")}}
from lxml import etree
confine()
allow_cpu(1)
import socket
try:
    {action}
except BaseException as error:
    print(type(error).__name__, error)
else:
    print("done")
"""


def attempt(action: str, *, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _TRY.format(action=action), json.dumps([str(ROOT), *filter(None, sys.path)])]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "action",
    [
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 9))",
        "socket.getaddrinfo('localhost', 80)",
        "open('made', 'w')",
        "open('made', 'rb+')",
        "os.open('made', os.O_CREAT | os.O_WRONLY)",
        "os.mkdir('made')",
        "os.symlink('/etc/passwd', 'made')",
        "os.rename(sys.argv[0], 'made')",
        "os.system('true')",
        "os.fork()",
        "os.execv(sys.executable, [sys.executable])",
        "os.posix_spawn(sys.executable, [sys.executable], {})",
        "__import__('subprocess').run(['true'])",
        "__import__('tempfile').mkstemp(dir='.')",
        "__import__('urllib.request').request.urlopen('http://127.0.0.1:9')",
        "__import__('ctypes').CDLL(None)",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_it_may_do_nothing_but_compute(action: str, tmp_path: Path) -> None:
    done = attempt(action, folder=tmp_path)
    assert done.stdout.startswith("PermissionError"), done
    assert list(tmp_path.iterdir()) == []


LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)) > 0
SECCOMP = platform.machine() in ("x86_64", "aarch64")


@pytest.mark.skipif(not LANDLOCK, reason="this kernel has no Landlock")
@pytest.mark.parametrize("place", ["/etc/passwd", "/proc/self/environ", str(ROOT / "README.md"), "."])
def test_it_opens_no_files_but_its_libraries_and_neither_does_c(place: str, tmp_path: Path) -> None:
    assert attempt(f"os.listdir('{place}') if {place == '.'} else open('{place}')", folder=tmp_path).stdout.startswith(
        "PermissionError"
    )
    assert attempt(f"print(raw['open'](b'{place}', os.O_RDONLY))", folder=tmp_path).stdout == "-1\ndone\n"
    assert attempt(f"etree.parse('{place}')", folder=tmp_path).stdout.startswith("OSError Error reading file")


@pytest.mark.skipif(not SECCOMP, reason="the calls of this machine are not known by number")
@pytest.mark.parametrize(
    "call",
    [
        "raw['socket'](2, 1, 0)",
        "raw['fork']()",
        "raw['execve'](sys.executable.encode(), None, None)",
        "raw['kill'](os.getppid(), 0)",
        "raw['open'](b'made', os.O_CREAT | os.O_WRONLY, 0o600)",
        "raw['unlink'](b'kept')",
        "raw['mkdir'](b'made', 0o700)",
    ],
)
def test_c_may_do_no_more_than_python(call: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    assert attempt(f"print({call})", folder=tmp_path).stdout == "-1\ndone\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_it_needs_it_may(tmp_path: Path) -> None:
    action = "import colorsys, encodings.cp1253, docx.oxml; os.urandom(1); print(os.getppid() > 0)"
    assert attempt(action, folder=tmp_path).stdout == "True\ndone\n"


def test_the_kernel_holds_its_memory_and_its_time(tmp_path: Path) -> None:
    assert attempt(f"bytes({MAX_MEMORY_BYTES})", folder=tmp_path).stdout.startswith("MemoryError")
    assert attempt("while True: pass", folder=tmp_path).returncode == -24  # SIGXCPU


@pytest.mark.skipif(os.geteuid() == 0 and not SECCOMP, reason="the kernel lets root have processes")
def test_the_kernel_lets_it_start_none(tmp_path: Path) -> None:
    action = "__import__('_thread').start_new_thread(print, ())"
    assert attempt(action, folder=tmp_path).stdout.startswith("RuntimeError")
