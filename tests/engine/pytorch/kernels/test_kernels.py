"""Kernels in Triton: beside the plain functions in its interpreter, compiled for GPUs, and what stands in for them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.executor import UnavailableError
from engine.pytorch.kernels.opening import open_kernels
from engine.pytorch.options import Options
from tests.engine.pytorch.small_bart import RULES, small_bart

ROOT = Path(__file__).parents[4]
ENVIRONMENT = ROOT / ".cache" / "gpu" / "environment" / "bin" / "python"
"""As `make test-gpu-versions` makes it."""


def run(program: str, *arguments: object, cache: Path) -> str:
    python = Path(sys.executable) if find_spec("triton") else ENVIRONMENT
    if not python.exists():
        pytest.skip("Triton, the language, is not installed, and `make test-gpu-versions` has made no environment")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TRITON_CACHE_DIR": str(cache)}
    command = [python, "-W", "error", "-m", f"tests.engine.pytorch.kernels.{program}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kernels_compute_what_the_plain_functions_do(tmp_path: Path) -> None:
    run("check", cache=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "beams"), [(80, 4), (86, 1), (90, 4), (90, 8)])
def test_all_kernels_of_a_step_can_be_compiled(capability: int, beams: int, tmp_path: Path) -> None:
    said = run("compiled", capability, beams, cache=tmp_path)
    for name in ("_embed", "_tree", "_cross", "_product", "_add_norm", "_best_of_part", "_advance"):
        assert name in said.split()


def test_a_step_that_must_have_kernels_is_refused_without_a_gpu() -> None:
    with pytest.raises(UnavailableError, match=r"run on a GPU .* set step to 'torch'"):
        small_bart().executor(step="triton")


def test_the_options_of_a_step_are_checked() -> None:
    with pytest.raises(ValueError, match="step is one of auto, torch, triton"):
        Options(step="cuda")
    with pytest.raises(ValueError, match="set step to 'torch' for 'inductor'"):
        Options(step="triton", compiler="inductor")


def test_operators_stand_in_where_kernels_cannot_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    weights: Any = SimpleNamespace(words=SimpleNamespace(device=torch.device("cuda")))
    executor = small_bart().executor()
    rest = executor.architecture, RULES, weights, executor.slots, executor.caches
    with caplog.at_level(logging.WARNING):
        assert open_kernels(Options(), *rest) is None
    assert "need a GPU, and there is none: PyTorch's operators compute the steps" in caplog.text
    caplog.clear()
    assert open_kernels(Options(compiler="inductor"), *rest) is None
    assert not caplog.text
    with pytest.raises(UnavailableError, match="there is none; or set step to 'torch'"):
        open_kernels(Options(step="triton"), *rest)
