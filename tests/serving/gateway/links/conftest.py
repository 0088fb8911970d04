"""A door that follows links to a site on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import FakeTriton, RunningDoor
from tests.serving.gateway.links.linked import Pages, Reader, linked_door, serving_pages


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serving_pages() as pages:
        yield pages


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def door(tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader) -> Iterator[RunningDoor]:
    with linked_door(tmp_path, fake, pages, reader) as door:
        yield door
