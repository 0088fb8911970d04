"""What the tests of the backends share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.serving.backends.held import Held


@pytest.fixture
def hold() -> Iterator[Callable[..., Held]]:
    made: list[Held] = []

    def make(**limits: Any) -> Held:
        made.append(Held(**limits))
        return made[-1]

    yield make
    for held in made:
        while not held.asked.empty():  # what a failed test left
            held.let_go()
        held.fan_out.close()
