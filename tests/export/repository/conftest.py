"""A repository of models that were never exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.repository.publish import publish
from infolens.contract import Task
from tests.export.repository.artefacts import exported


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an export of every task; no graph among them is a real one."""
    folder = tmp_path / "model_repository"
    for task in Task:
        publish(exported(task, tmp_path / "made"), folder)
    return folder
