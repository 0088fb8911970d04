"""TensorRT for RTX in an environment of its own, which builds plans without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.environments import ensure_environment
from benchmarks.common.server import BenchmarkError

ROOT = Path(__file__).parents[3]
Build = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def build() -> Build:
    """Builds a plan in that environment: ``build(path, precision, sizes)`` -> what `build.py` says."""
    folder, requirements = ROOT / ".cache" / "trt", ROOT / "requirements" / "tensorrt.txt"
    try:
        python = ensure_environment(folder, requirements, name="TensorRT's environment", contents="350 MB")
    except BenchmarkError as error:
        pytest.skip(str(error))

    def built(path: Path, precision: str, sizes: Mapping[str, int], products: tuple[str, ...] = ()) -> dict[str, Any]:
        asked = json.dumps({"path": str(path), "precision": precision, "sizes": dict(sizes), "products": products})
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [str(python), "-m", "tests.engine.trt.build"]
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, check=True, cwd=ROOT, env=environment
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return built
