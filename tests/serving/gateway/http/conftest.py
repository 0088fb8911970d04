"""A Triton that is made up, of which the doors of these tests ask."""

from __future__ import annotations

import pytest

from tests.serving.gateway.http.running import FakeTriton


@pytest.fixture
def fake() -> FakeTriton:
    return FakeTriton()
