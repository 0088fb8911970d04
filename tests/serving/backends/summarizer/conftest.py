"""A summarizer whose engine answers when it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.backends.summarizer import model
from tests.serving.backends.summarizer.standing import ARTEFACT, StandingEngine, config


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandingEngine:
    standing = StandingEngine()
    monkeypatch.setattr(model, "read", lambda folder: ARTEFACT)
    monkeypatch.setattr(model, "open_engine", lambda folder, options: standing)
    return standing


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    return {
        "model_config": json.dumps(config()),
        "model_repository": str(tmp_path),
        "model_version": "1",
        "model_instance_kind": "CPU",
    }


@pytest.fixture
def summarizer(engine: StandingEngine, arguments: dict[str, str]) -> Iterator[model.TritonPythonModel]:
    made = model.TritonPythonModel()
    made.initialize(arguments)
    engine.held.clear()
    engine.warming = False
    yield made
    made.finalize()
