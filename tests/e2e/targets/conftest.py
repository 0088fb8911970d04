"""Small models of all tasks, exported for a GPU, with the processor in the GPU's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.cli import main
from infolens.contract import Task
from infolens.targets import Target
from serving.gpu.stand_in import stand_in
from tests.export.conftest import write_checkpoint


@pytest.fixture(scope="module")
def for_cuda(one_torch_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their repository."""
    folder = tmp_path_factory.mktemp("cuda")
    sources = {f"--{task.value}": str(write_checkpoint(task, folder / task / "checkpoint")) for task in Task}
    words = ["all", "--target", "cuda", "--repository", str(folder / "model_repository"), "--min-token-f1", "0"]
    assert main([*words, *(word for pair in sources.items() for word in pair)]) == 0
    return stand_in(folder / "model_repository", Target.CUDA, folder / "cache")
