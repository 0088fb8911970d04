"""The steps by which the spool changes the disk: a crash leaves what the steps before it have made."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make(path: Path) -> int:
    """Make a file for this user alone, and open it for appending."""
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        sync_folder(path.parent)
    except OSError:
        os.close(file)
        raise
    return file


def append(file: int, content: bytes) -> None:
    """Write all of it, and wait until the disk has it."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def cut(file: int, size: int) -> None:
    """Take away what was appended beyond a size."""
    os.ftruncate(file, size)
    os.fsync(file)


def replace(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it."""
    partial = path.with_name(f"{path.name}.partial")
    file = os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        append(file, content)
    finally:
        os.close(file)
    partial.rename(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, and wait until the disk has forgotten it."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it is gone for everybody but a machine that loses its power now
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
