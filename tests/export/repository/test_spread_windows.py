"""Which models spread their windows over an article: those that judge it, not those that quote it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from export.repository.artefact import Artefact
from export.repository.deployment import DEPLOYMENT
from export.repository.feeding import buckets, tokenizer_parameters
from infolens.contract import CONTRACTS, Task
from tests.export.repository.artefacts import artefact


def windowed(task: Task, window: int, most: int) -> Artefact:
    return replace(artefact(task, most), window=window)


@pytest.mark.parametrize(("task", "spread"), [(Task.SUMMARY, "0"), (Task.CATEGORY, "1")])
def test_classifiers_spread_their_windows_and_summarizers_read_on(task: Task, spread: str) -> None:
    parameters = tokenizer_parameters(CONTRACTS[task], windowed(task, 96, 288), DEPLOYMENT)
    assert (parameters["window"], parameters["spread"]) == ("96", spread)
    assert "spread" not in tokenizer_parameters(CONTRACTS[task], windowed(task, 0, 288), DEPLOYMENT)


def test_long_articles_fill_whole_windows() -> None:
    assert buckets(windowed(Task.CATEGORY, 96, 288), DEPLOYMENT) == (64, 96, 192, 288)
