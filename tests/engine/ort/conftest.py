"""The small model, once for all tests of this folder; PyTorch on one thread, which is faster at this size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from .small import Small


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("small"))
