"""A repository and a Triton that are enough for the supervisor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.serving.stand_in import tensor, write_model

HERE = Path(__file__).parent


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    text = [tensor("text", "STRING", "1")]
    write_model(folder, "summarize", "ensemble", text, [tensor("summary", "STRING", "1")])
    return folder


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """An executable in place of Triton's."""
    script = tmp_path / "tritonserver"
    script.write_text(f"#!{sys.executable}\n" + (HERE / "fake_triton.py").read_text())
    script.chmod(0o755)
    return script
