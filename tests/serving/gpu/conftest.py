"""Small repositories of models for CPUs and for a GPU."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A classifier for CPUs that an ensemble asks, one for CUDA, and one that nobody asks."""
    folder = tmp_path / "models"
    for name, target, precision in (("old", "cpu", "int8"), ("new", "cuda", "fp16"), ("unasked", "cpu", "int8")):
        (folder / name / "2").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text('backend: "onnxruntime"\n')
        facts = {"task": "category", "precision": precision, "target": target, "checkpoint": "checkpoints/news"}
        (folder / name / "2" / "artefact.json").write_text(json.dumps(facts))
        (folder / name / "2" / "model.onnx").write_bytes(bytes(100))
        (folder / f"{name}_labels" / "2").mkdir(parents=True)
        (folder / f"{name}_labels" / "config.pbtxt").write_text('backend: "labels"\n')
    for ensemble in ("old", "new"):
        (folder / f"ask_{ensemble}" / "1").mkdir(parents=True)
        steps = "".join(f'  step {{\n    model_name: "{step}"\n  }}\n' for step in (ensemble, f"{ensemble}_labels"))
        text = f'platform: "ensemble"\nensemble_scheduling {{\n{steps}}}\n'
        (folder / f"ask_{ensemble}" / "config.pbtxt").write_text(text)
    for name in ("new", "new_labels", "ask_new"):
        (folder / name / "configs").mkdir()
        (folder / name / "configs" / "cuda.pbtxt").write_bytes((folder / name / "config.pbtxt").read_bytes())
    return folder


@pytest.fixture
def for_cuda(repository: Path) -> Path:
    """The same without the model for CPUs that an ensemble asks."""
    for name in ("old", "old_labels", "ask_old"):
        shutil.rmtree(repository / name)
    return repository
