"""A folder of the spool for each door, and those that doors have left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.errors import FeedbackError

ENDING: Final = ".jsonl"
_LOCK: Final = "lock"
_MAX_DOORS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Held:
    """A folder that this process alone uses."""

    path: Path
    lock: int
    """The open file; closing it lets the folder go."""

    def segments(self) -> list[Path]:
        """The files with entries, the oldest first."""
        return sorted(self.path.glob(f"*{ENDING}"))

    def release(self) -> None:
        """Let others have it."""
        os.close(self.lock)


def hold_one(parent: Path) -> Held:
    """A folder for this door, which is made if there is none that nobody uses.

    Raises:
        FeedbackError: Too many doors use the same spool.
        OSError: It cannot be made.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    denied: OSError | None = None
    for number in range(1, _MAX_DOORS + 1):
        try:
            held = _hold(parent / str(number), make=True)
        except PermissionError as error:  # another user's
            denied = error
            continue
        if held is not None:
            return held
    if denied is not None:
        raise denied
    raise FeedbackError(f"{_MAX_DOORS} servers use the spool in {parent}: name another folder with --feedback-spool")


def hold_left(parent: Path) -> Iterator[Held]:
    """The folders with entries whose doors have gone."""
    for path in sorted(parent.iterdir()):
        if path.name.isdigit() and path.is_dir() and any(path.glob(f"*{ENDING}")):
            with contextlib.suppress(OSError):  # another user's
                if (held := _hold(path, make=False)) is not None:
                    yield held


def _hold(path: Path, *, make: bool) -> Held | None:
    if make:
        path.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return Held(path=path, lock=lock)
