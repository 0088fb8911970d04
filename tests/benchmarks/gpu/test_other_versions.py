"""The whole command in the versions of the machine that it is meant for, from the copy that is carried there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.environments import ensure_environment
from benchmarks.common.server import ROOT
from benchmarks.gpu.plan import PARTS

PYTHON = "python3.12"
"""That of the machine; this one stands in where there is none."""


def its_python() -> str:
    """The path of an interpreter that runs: a launcher of that name may stand for a version that is not installed."""
    found = os.environ.get("GPU_PYTHON") or shutil.which(PYTHON)
    if found is None or subprocess.run([found, "-c", "pass"], capture_output=True, check=False).returncode:
        return sys.executable
    return found


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_dry_run_in_the_versions_of_the_machine(tmp_path: Path) -> None:
    python = ensure_environment(
        ROOT / ".cache" / "gpu" / "environment",
        ROOT / "requirements" / "gpu.txt",
        name="the environment of the GPU command",
        contents="torch, transformers, ONNX Runtime",
        python=its_python(),
    )
    copy, out = tmp_path / "copy", tmp_path / "out"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {"PYTHON": str(python), "PYTHONNOUSERSITE": "1", "HF_HUB_OFFLINE": "1"}
    carried = subprocess.run(
        [ROOT / "scripts" / "gpu-carry", copy], env=environment, capture_output=True, text=True, check=False
    )
    assert carried.returncode == 0, carried.stderr
    del environment["PYTHON"]
    client = subprocess.run(
        [python, "-c", "import tritonclient"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert "No module named 'tritonclient'" in client.stderr
    command = [python, "-m", "benchmarks", "gpu", "--dry-run", "--out", out]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = {part["name"]: part["status"] for part in json.loads(done.stdout.splitlines()[-1])["parts"]}
    assert ended == dict.fromkeys([part.name for part in PARTS if part.by_default], "done"), done.stderr
