"""What the tests of the recipes share: the files, and how a test reads one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.runtime import ROOT

RECIPES = sorted(path for kind in ("*gpu", "*starter") for path in (ROOT / "recipes").glob(f"{kind}.toml"))


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe_file(request: pytest.FixtureRequest) -> Path:
    """Each recipe in turn."""
    path: Path = request.param
    return path


@pytest.fixture
def written(recipe_file: Path) -> dict[str, Any]:
    """What stands in it."""
    return tomllib.loads(recipe_file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread: models this small lose time to every further one, much of it on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
