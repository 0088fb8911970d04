"""A door before a Triton that is made up, and a Triton without a door of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from serving.launcher import ServerOptions, TritonServer
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door, real_door
from tests.serving.gateway.scripted import Door, ScriptedTriton, opened, options


@pytest.fixture
async def scripted() -> ScriptedTriton:
    return ScriptedTriton()


@pytest.fixture
async def grpc_door(tmp_path: Path, scripted: ScriptedTriton) -> AsyncIterator[Door]:
    async with scripted.listening() as address, opened(options(tmp_path, address)) as door:
        yield door


@pytest.fixture(scope="package")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Triton as the door meets it; everywhere else this is the whole server, whose door stands before it."""
    missing = [name for name in ONNX_MODELS if not list(REPOSITORY.glob(f"{name}/*/model.onnx"))]
    if missing:
        pytest.skip(f"model_repository has no exported model for {', '.join(missing)}")
    log_file = tmp_path_factory.mktemp("triton") / "triton.log"
    with TritonServer(ServerOptions(http_port=0, grpc_port=0, metrics_port=0, log_file=log_file)) as server:
        yield server


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
