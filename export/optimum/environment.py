"""The virtual environment of optimum, which needs an older ``transformers`` than the project."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from export.errors import ExportError
from export.progress import step

_LOG = logging.getLogger(__name__)

_ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = _ROOT / ".cache" / "optimum"
"""Holds the virtual environment."""
REQUIREMENTS: Final = _ROOT / "requirements" / "optimum.txt"
_SHOWN_LINES: Final = 3


def ensure_optimum(cache: Path = CACHE, requirements: Path = REQUIREMENTS) -> Path:
    """Return the Python interpreter that has optimum, making its environment if it is missing or out of date.

    The stamp is written last, so that an interrupted set-up starts again. Two exports that start together do not
    interfere: one waits for the other.

    Args:
        cache: Where the environment is kept.
        requirements: The packages, all pinned.

    Returns:
        The path of the interpreter.

    Raises:
        ExportError: The list is missing, or the packages cannot be installed; the message ends with pip's last lines.
    """
    python, stamp = cache / "bin" / "python", cache / "stamp"
    try:
        wanted = hashlib.sha256(requirements.read_bytes() + f"{sys.version} {sys.base_prefix}".encode()).hexdigest()
    except FileNotFoundError:
        raise ExportError(f"{requirements} is missing: it pins what optimum runs on; take the whole checkout") from None
    cache.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(cache.with_name(cache.name + ".lock")):
        if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
            with step(f"making the environment of optimum in {cache} (torch among it: some minutes, once)"):
                _make(cache, python, requirements)
                stamp.write_text(wanted, encoding="utf-8")
    return python


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, after a message if another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _LOG.info("waiting for another export that makes the environment of optimum")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path, python: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    # The pip of this Python installs into the other one, with the machine's pip settings.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--requirement", str(requirements)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the arguments are our own
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-_SHOWN_LINES:]
        raise ExportError(
            f"the environment of optimum cannot be made (exit code {done.returncode} of {' '.join(command[1:3])}). It "
            "needs a package index that pip can reach, once; architectures with a graph of their own export without "
            "it:\n" + "\n".join(lines)
        )
