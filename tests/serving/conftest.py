"""A server of its own for the stand-in models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tritonclient import grpc

from serving.launcher import ServerOptions, TritonServer
from tests.serving.keys.postgres import Postgres, postgres
from tests.serving.stand_in import build


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("stand_in"))


def free_ports(repository: Path, log_file: Path) -> ServerOptions:
    return ServerOptions(repository=repository, http_port=0, grpc_port=0, metrics_port=0, log_file=log_file)


@pytest.fixture(scope="session")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(free_ports(repository, tmp_path_factory.mktemp("log") / "triton.log")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that need one; whoever stops it starts it again."""
    with postgres() as running:
        yield running


@pytest.fixture
def client(server: TritonServer) -> Iterator[grpc.InferenceServerClient]:
    with grpc.InferenceServerClient(server.grpc_url.removeprefix("grpc://")) as client:
        yield client
