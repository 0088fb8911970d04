"""A store of feedback in every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.feedback.location import KEPT
from serving.feedback.store import FeedbackStore
from serving.storage.location import read_url
from tests.serving.feedback.said import Clock, store_in


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.system)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[FeedbackStore]:
    if request.param == "sqlite":
        store = store_in(tmp_path / "feedback" / "feedback.sqlite3", clock)
    else:
        url = request.getfixturevalue("postgresql").url()
        store = FeedbackStore(read_url(KEPT, url, tmp_path), now=clock)
        store.migrate("base")
    yield store
    store.close()
