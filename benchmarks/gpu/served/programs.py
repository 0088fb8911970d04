"""Other programs of the project, each in a process of its own, with an end to its time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.common.server import ROOT

_LAST_LINES: Final = 3
_NEEDED: Final = ("serving", "export", "infolens", "tritonclient", "hdrh")
"""What these programs are made of and import; without one of them none can run."""


class ProgramError(Exception):
    """A program failed or took too long; the message is its name and what it said last."""


def missing() -> str:
    """What is not here of all that the programs need; empty where nothing is missing."""
    return ", ".join(name for name in _NEEDED if find_spec(name) is None)


def run(words: Sequence[str], folder: Path, *, limit_s: float) -> str:
    """Run ``python -m`` with ``words``.

    Args:
        words: The module and its arguments.
        folder: Gets what it says on stderr, as ``<module>.log``; a further run adds to it.
        limit_s: It is killed after so many seconds.

    Returns:
        What it said on stdout.

    Raises:
        ProgramError: It failed, or its time was up.
    """
    log = folder / f"{words[0]}.log"
    with log.open("ab") as sink:
        sink.write(f"$ python -m {' '.join(words)}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(  # noqa: S603 - our own modules
                [sys.executable, "-m", *words],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=sink,
                timeout=max(limit_s, 0.1),
                check=False,
                text=True,
            )
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{words[0]} was ended after {limit_s:.0f} s: {_last(log)}") from None
    if done.returncode:
        raise ProgramError(f"{words[0]} ended with exit code {done.returncode}: {_last(log)}")
    return done.stdout


def document(words: Sequence[str], folder: Path, *, limit_s: float) -> dict[str, Any]:
    """The JSON document that a program prints as its last line; arguments and errors as of `run`."""
    said = run(words, folder, limit_s=limit_s).strip().splitlines()
    found: dict[str, Any] = json.loads(said[-1]) if said else {}
    return found


def _last(log: Path) -> str:
    """The end of a log, in one line."""
    text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("$")]
    return " / ".join(lines[-_LAST_LINES:]) or "it said nothing"
