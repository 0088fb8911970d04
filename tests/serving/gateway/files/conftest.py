"""A door whose reading processes have little time."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from serving.gateway.access.doorkeeper import Doorkeeper
from serving.gateway.configuration import GatewayOptions
from serving.gateway.intake import Intake, open_intake
from serving.intake.process import ReaderLimits, Readers
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door

FILE_S = 4.0
"""How long reading one file may take here; usual files take milliseconds."""
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    """A door for many files; at the end nothing may have gone wrong that no rule foresees."""

    @asynccontextmanager
    async def intake(options: GatewayOptions, doorkeeper: Doorkeeper) -> AsyncIterator[Intake]:
        limits = ReaderLimits(article_s=FILE_S, table_s=3 * FILE_S)
        async with open_intake(options, doorkeeper) as usual, Readers(limits) as readers:
            yield dataclasses.replace(usual, readers=readers)

    with fake_door(tmp_path_factory.mktemp("files"), make_fake(), intake=intake) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


def send(door: RunningDoor, path: str, data: bytes, **headers: str) -> Answer:
    return door.ask("POST", path, data, BINARY | {name.replace("_", "-"): value for name, value in headers.items()})
