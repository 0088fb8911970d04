"""A door that wants keys, before a Triton that is made up; one of the keys is there as it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serving.gateway.configuration import GatewayLimits
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import Keyed, made
from tests.serving.gateway.scripted import ScriptedTriton, opened, options


@pytest.fixture
async def keyed(tmp_path: Path, scripted: ScriptedTriton) -> AsyncIterator[Keyed]:
    store, url = made(tmp_path)
    key, _ = store.create("newsroom", Role.READ)
    limits = GatewayLimits(key_concurrency=2)
    async with (
        scripted.listening() as address,
        opened(options(tmp_path, address, keys=True, keys_url=url, limits=limits)) as door,
    ):
        yield Keyed(door=door, store=store, keys={"newsroom": key})
