"""The environment of the peers: their pins must not touch ours, so they get a virtual environment of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from benchmarks.common.environments import ensure_environment
from benchmarks.common.server import ROOT

CACHE: Final = ROOT / ".cache" / "peers"
"""Holds ``environment``, ``models`` (the peers' conversions), ``repository`` (our exports) and ``logs``."""
REQUIREMENTS: Final = ROOT / "requirements" / "peers.txt"


def ensure_peers(cache: Path = CACHE, requirements: Path = REQUIREMENTS) -> Path:
    """The peers' Python, in an environment made from ``requirements`` when it is not there or out of date.

    Raises:
        BenchmarkError: The packages cannot be installed; the message ends with pip's last lines.
    """
    contents = "torch, OpenVINO, CTranslate2, optimum"
    return ensure_environment(cache / "environment", requirements, name="the peers' environment", contents=contents)


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
