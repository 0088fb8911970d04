"""Where a run writes: beside its checkpoint folder, which is there only when it is whole."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from training.errors import SettingError, StorageError, TrainingError


def check_place(folder: Path, option: str = "--out") -> None:
    """See whether a folder can be made and written to, before hours of work depend on it; leaves nothing behind.

    Raises:
        StorageError: It cannot.
    """
    made: list[Path] = []
    try:
        for part in (*reversed(folder.parents), folder):
            if not part.exists():
                part.mkdir()
                made.append(part)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written to ({error.strerror or error}); name another place with {option}, or make "
            "this one writable"
        ) from error
    finally:
        for part in reversed(made):
            with suppress(OSError):  # it is no longer empty: somebody else uses it by now
                part.rmdir()


def check_file(path: Path, option: str = "--out") -> None:
    """See whether a file can be written, as `check_place` sees it for a folder.

    Raises:
        StorageError: It cannot.
    """
    check_place(path.parent, option)
    if path.is_dir():
        raise StorageError(f"{path}: cannot be written to (it is a folder); name a file with {option}")


def work_folder(out: Path) -> Path:
    """The folder ``<out>.partial``, which becomes ``out`` at the end; a run that was cut off may have left it.

    Raises:
        TrainingError: ``out`` is there already.
        StorageError: Nothing can be written there.
    """
    try:
        taken = out.exists()
    except OSError as error:
        raise StorageError(f"{out}: cannot be looked at ({error.strerror}); name another folder with --out") from error
    if taken:
        raise TrainingError(f"{out}: is there already; name another folder with --out, or move it away")
    work = out.with_name(out.name + ".partial")
    check_place(work)
    return work


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if need be, for this process while the block runs, or until the process is gone.

    Raises:
        StorageError: The folder cannot be made, or another process has it.
    """
    descriptor = _open(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{folder}: another run writes there now; wait until it has ended, or name another folder with --out"
            ) from error
        except OSError:  # a file system that cannot keep folders, as some across a network
            pass
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made ({error.strerror or error}); name another place with --out"
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it, so that it is there only when it is whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def remember(file: Path, settings: Any, holds: str) -> None:
    """Keep the settings of work that goes on in a folder, and refuse to mix it with work of other settings.

    Args:
        file: In the folder; made on the first call.
        settings: What JSON can hold.
        holds: What the folder holds when they differ, for the message.

    Raises:
        SettingError: The folder's settings are others.
        StorageError: The folder cannot be written to.
    """
    check_place(file.parent)
    wanted = json.loads(json.dumps(settings))
    if file.exists() and json.loads(file.read_text(encoding="utf-8")) != wanted:
        raise SettingError(f"{file.parent}: holds {holds}; name another folder with --out")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(wanted, indent=2) + "\n")
