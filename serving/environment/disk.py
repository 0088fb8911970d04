"""Room on a disk before much is written to it, and words for what the system says when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving.errors import RuntimeSetupError


def require_room(folder: Path, about_bytes: int, what: str) -> None:
    """See that a disk has room.

    Args:
        folder: What is to be written goes into it; it need not be there yet.
        about_bytes: How much that takes.
        what: What it is, for the message.

    Raises:
        RuntimeSetupError: Less is free.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < about_bytes:
        raise RuntimeSetupError(
            f"{what} takes about {_gigabytes(about_bytes)}, and {_gigabytes(free)} are free on the disk of {folder}: "
            "free more, name a folder on another disk with --cache, or packages that are installed already with "
            "--runtime"
        )


def reason(error: OSError) -> str:
    """Why a file could not be written; of the many reasons of `shutil.copytree` the first."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list) and error.args[0]:
        return str(error.args[0][0][-1])
    return str(error)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
