"""A Triton that answers all tasks, for the page."""

from __future__ import annotations

import pytest

from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import FakeTriton


@pytest.fixture
def fake() -> FakeTriton:
    return make_fake()
