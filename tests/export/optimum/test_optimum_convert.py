"""Checkpoints that optimum cannot export are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import CheckpointError
from export.optimum.convert import convert


def test_a_folder_without_configuration_or_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "work").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read .*give the folder that save_pretrained"):
        convert(tmp_path / "empty", tmp_path / "work", Path("python"))
    (tmp_path / "empty" / "config.json").write_text("{}")
    (tmp_path / "again").mkdir()
    with pytest.raises(CheckpointError, match=r"has no weights .*save the whole model"):
        convert(tmp_path / "empty", tmp_path / "again", Path("python"))


def test_an_export_that_the_system_ended_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "work").mkdir()
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    with pytest.raises(CheckpointError, match=r"cannot write the graph .*signal 9 ended it; 9 mostly means"):
        convert(tmp_path, tmp_path / "work", python)
