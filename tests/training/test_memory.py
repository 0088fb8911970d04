"""What the allocator is told."""

import ctypes
from typing import Any

import pytest

from training.memory import return_early


def test_bounds_of_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    class Library:
        def __init__(self, _: Any) -> None:
            pass

        def mallopt(self, name: int, value: int) -> None:
            told.append((name, value))

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "4000000000")
    return_early()
    assert told == []
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")
    return_early()
    assert [name for name, _ in told] == [-3, -1]
