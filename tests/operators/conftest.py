"""The native operators of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.library import ensure_operators


@pytest.fixture(scope="session")
def library() -> Path:
    """Their library; without one the test is skipped."""
    found = ensure_operators()
    if found.path is None:
        pytest.skip(f"no native operators: {found.reason}")
    return found.path
