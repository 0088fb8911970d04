"""Putting files where they belong: written whole, moved in together, and back again where one fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_files(folder: Path, files: Mapping[str, bytes | Path]) -> None:
    """Put files into ``folder`` by their paths in it: bytes are written, and files, which are large, are moved."""
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


def move_in(staging: Path, repository: Path, units: Iterable[str]) -> None:
    """Move files and folders from ``staging/new`` into a repository, in this order, and back if one move fails.

    What was there before goes to ``staging/old``.
    """
    made: list[Path] = []
    saved: list[tuple[Path, Path]] = []
    try:
        for unit in units:
            source, target = staging / "new" / unit, repository / unit
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                backup = staging / "old" / unit
                backup.parent.mkdir(parents=True, exist_ok=True)
                target.rename(backup)
                saved.append((backup, target))
            source.rename(target)
            made.append(target)
    except OSError:
        for target in reversed(made):
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        for backup, target in reversed(saved):
            backup.rename(target)
        raise
