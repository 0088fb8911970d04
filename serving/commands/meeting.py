"""Where a Triton and a door that were started apart meet: ``triton.json`` in a folder that both see.

Whoever restarts one of them leaves the files of the one before behind. So the file counts only while the supervisor is
heard of in ``state.json`` beside it, a supervisor removes both before it does anything else, and a door ends when the
file changes: it knows nothing of a Triton with other ports and another key, and whoever keeps it starts it again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final

from serving.errors import ServingError
from serving.gateway.verdict import VerdictFile
from serving.processes import write_private

TRITON: Final = "triton.json"
STATE: Final = "state.json"
BOARD: Final = "board"
_LOCK: Final = "triton.lock"
_DOOR_LOCK: Final = "door.lock"
_POLL_S: Final = 0.1

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What the door is told of a Triton."""

    triton_grpc: str
    """Such as ``127.0.0.1:43211``."""
    triton_metrics: str
    """Such as ``http://127.0.0.1:43212/metrics``."""
    triton_admin_key: str = field(repr=False)
    admin_header: str
    repository: str
    """The models; the door reads their configurations and cards by the same path."""
    config_name: str | None
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    """Another one for each start of the supervisor."""

    def write(self, folder: Path) -> None:
        """Write the file, for this user alone."""
        write_private(folder / TRITON, asdict(self))


def read(folder: Path) -> Meeting | None:
    """What the file says; None when there is none, or none that can be read."""
    try:
        document = json.loads((folder / TRITON).read_text(encoding="utf-8"))
        return Meeting(**{one.name: document[one.name] for one in fields(Meeting)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def wait_for(folder: Path) -> Meeting:
    """Wait for a Triton whose supervisor is alive; for ever: whoever starts the door knows how long that may be."""
    verdicts, told = VerdictFile(folder / STATE), False
    while (found := read(folder)) is None or not verdicts.read().live:
        if not told:
            told = True
            log.info("waiting for Triton: `python -m serving triton --run` writes %s once ready", folder / TRITON)
        time.sleep(_POLL_S)
    return found


def gone(folder: Path, met: Meeting) -> str:
    """Why a door that met this Triton must end; empty while it is there."""
    found = read(folder)
    if found is not None and found.instance == met.instance:
        return ""
    how = "has ended or is being started" if found is None else "was started again, with other ports and another key"
    return f"Triton {how} ({folder / TRITON}): the door ends, and is to be started again"


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """A folder for one supervisor, cleared of what an earlier one left.

    Raises:
        ServingError: It cannot be written, or another supervisor has it.
    """
    with _alone(folder, _LOCK, "Triton"):
        for name in (TRITON, STATE, BOARD):
            (folder / name).unlink(missing_ok=True)
        try:
            yield
        finally:
            (folder / TRITON).unlink(missing_ok=True)


@contextmanager
def door_alone(folder: Path) -> Iterator[None]:
    """A folder for one door: a second one's tickets would tell the models that all of the first one's callers left.

    Raises:
        ServingError: It cannot be written, or another door has it.
    """
    with _alone(folder, _DOOR_LOCK, "door"):
        yield


@contextmanager
def _alone(folder: Path, name: str, whose: str) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServingError(
            f"--run {folder} must be a folder that this user (id {os.getuid()}) can write, and is not "
            f"({error.strerror}): name another, or give it to this user"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ServingError(
            f"--run {folder} is one {whose}'s folder, and another runs with it: end that one, or name another folder"
        ) from None
    try:
        yield
    finally:
        os.close(lock)
