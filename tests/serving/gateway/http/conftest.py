"""Doors: one before a Triton that is made up, and one before the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.launcher import TritonServer
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door, real_door


@pytest.fixture
def fake() -> FakeTriton:
    return FakeTriton()


@pytest.fixture
def door(tmp_path: Path, fake: FakeTriton) -> Iterator[RunningDoor]:
    """Before `fake`; at the end nothing may have gone wrong that no rule foresees."""
    with fake_door(tmp_path, fake) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


@pytest.fixture(scope="module")
def front(triton: TritonServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """Before the real Triton."""
    with real_door(tmp_path_factory.mktemp("door"), triton.grpc_url) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []
