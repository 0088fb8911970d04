"""The environment of the peers: their pins must not touch ours, so they get a virtual environment of their own."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.common.server import ROOT, BenchmarkError

_LOG = logging.getLogger(__name__)

CACHE: Final = ROOT / ".cache" / "peers"
"""Holds ``environment``, ``models`` (the peers' conversions), ``repository`` (our exports) and ``logs``."""
REQUIREMENTS: Final = ROOT / "requirements" / "peers.txt"
_SHOWN_LINES: Final = 5


def ensure_peers(cache: Path = CACHE, requirements: Path = REQUIREMENTS) -> Path:
    """The peers' Python, in an environment made from ``requirements`` when it is not there or out of date.

    The stamp is written last, so that a set-up that was cut short starts again.

    Raises:
        BenchmarkError: The packages cannot be installed; the message ends with pip's last lines.
    """
    folder = cache / "environment"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    _LOG.info("==> making the peers' environment %s", folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    _LOG.info(
        "==> installing %s (torch, OpenVINO, CTranslate2, optimum: some minutes the first time)", requirements.name
    )
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "--requirement", str(requirements)])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def worker_environment(threads: int) -> dict[str, str]:
    """Environment variables of a process of the peers: ``threads`` threads, and nothing from the network."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {
        **kept,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
    }


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        raise BenchmarkError(
            f"the peers' environment cannot be made (exit code {done.returncode} of {' '.join(command[1:3])}); it "
            f"needs a package index that pip can reach, now or once before:\n{last_lines(done.stderr or done.stdout)}"
        )


def last_lines(text: str, count: int = _SHOWN_LINES) -> str:
    """The last ``count`` lines of ``text`` that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
