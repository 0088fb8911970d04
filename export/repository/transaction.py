"""Writing several files of a repository as one transaction: all of them appear, or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Put files into ``folder``, by relative path: bytes are written, and `Path`s, which are large, are moved."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.move(content, target)
            continue
        with target.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())


def move_in(
    staging: Path, repository: Path, folders: Sequence[str], files: Iterable[str], gone: Iterable[str] = ()
) -> None:
    """Move what ``staging/new`` holds into a repository, and all of it back if one move fails.

    What was there before is moved to ``staging/old``. If the process is killed half-way, the repository never looks
    complete while it mixes old and new folders: the last of the folders is removed first and added last.

    Args:
        staging: Holds what is moved, on the repository's file system.
        repository: Where it goes.
        folders: Folders that belong together, the one that makes the others visible last.
        files: Files, each of which is replaced on its own.
        gone: Files that are taken away, where they are there.

    Raises:
        OSError: A move failed; all moves before it have been undone, as after Ctrl-C.
    """
    made: list[str] = []
    saved: list[tuple[Path, Path]] = []

    def take_away(unit: str) -> None:
        target, backup = repository / unit, staging / "old" / unit
        if target.exists():
            backup.parent.mkdir(parents=True, exist_ok=True)
            saved.append((backup, target))  # before it is moved, because Ctrl-C may come between the two
            target.rename(backup)

    def put(unit: str) -> None:
        target = repository / unit
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(unit)
        (staging / "new" / unit).rename(target)

    try:
        for unit in reversed(folders):
            take_away(unit)
        for unit in folders:
            put(unit)
        for unit in files:
            take_away(unit)
            put(unit)
        for unit in gone:
            take_away(unit)
    except BaseException:
        for unit in reversed(made):
            if not (staging / "new" / unit).exists():
                target = repository / unit
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        for backup, target in reversed(saved):
            if backup.exists():
                backup.rename(target)
        raise
