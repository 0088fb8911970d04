"""Virtual environments beside the project's own, for packages whose pins must not touch ours."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .server import BenchmarkError

_LOG = logging.getLogger(__name__)
_SHOWN_LINES: Final = 5


def ensure_environment(
    folder: Path, requirements: Path, *, name: str, contents: str, python: str = sys.executable
) -> Path:
    """The Python of an environment, which is made from ``requirements`` when it is not there or out of date.

    The stamp is written last, so that a set-up that was cut short starts again.

    Args:
        folder: Holds the environment and its stamp.
        requirements: Every package in it, pinned.
        name: Words for it in messages, such as ``the peers' environment``.
        contents: Words for its largest packages.
        python: The interpreter that it gets; this one by default.

    Raises:
        BenchmarkError: The packages cannot be installed; the message ends with pip's last lines.
    """
    made, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = hashlib.sha256(requirements.read_bytes() + _version(python, name).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return made
    _LOG.info("==> making %s %s", name, folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([python, "-m", "venv", "--without-pip", str(folder)], name)
    _LOG.info("==> installing %s (%s: some minutes the first time)", requirements.name, contents)
    pip = [sys.executable, "-m", "pip", "--python", str(made), "install", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "--requirement", str(requirements)], name)
    stamp.write_text(wanted, encoding="utf-8")
    return made


def last_lines(text: str, count: int = _SHOWN_LINES) -> str:
    """The last ``count`` lines of ``text`` that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def _version(python: str, name: str) -> str:
    """What ``sys.version`` is in ``python``."""
    if python == sys.executable:
        return sys.version
    return _run([python, "-c", "import sys; sys.stdout.write(sys.version)"], name)


def _run(command: list[str], name: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BenchmarkError(
            f"{name} cannot be made (exit code {done.returncode} of {' '.join(command[1:3])}); it "
            f"needs a package index that pip can reach, now or once before:\n{last_lines(done.stderr or done.stdout)}"
        )
    return done.stdout
