"""What the report of feedback's costs says."""

from __future__ import annotations

from datetime import date

import pytest

from benchmarks.common.machine import this_machine
from benchmarks.feedback.config import FeedbackConfig
from benchmarks.feedback.measurement import Costs
from benchmarks.feedback.report import added, document, markdown

CONFIG = FeedbackConfig(predictions=1000, ratings=100, rounds=4, requests=2)
COSTS = Costs(
    with_ms={"category": [10.0, 12.0, 20.0, 11.0]},
    without_ms={"category": [9.0, 12.5, 19.0, 10.0]},
    computed_ms=[40.0, 60.0],
    kept_ms=[1.0, 2.0],
    page_ms=[],
    store_bytes=2_000_000,
)


def test_what_is_added_is_the_difference_within_a_turn() -> None:
    value, low, high = added([10.0, 12.0, 20.0, 11.0], [9.0, 12.5, 19.0, 10.0])
    assert value == pytest.approx(1.0)
    assert low <= value <= high
    assert added([5.0] * 9, [4.0] * 9) == (1.0, 1.0, 1.0)


def test_the_report_says_what_was_and_was_not_measured() -> None:
    day = date(2026, 11, 27)
    text = markdown(COSTS, CONFIG, this_machine(), day, "python -m benchmarks feedback")
    assert "1,000 predictions and 100 ratings (2 MB)" in text
    assert "| category | 11.50 | 11.25 | +1.00" in text
    assert "| the page, to its first chart | not measured | |" in text
    found = document(COSTS, CONFIG, this_machine(), day)
    assert found["quality"] == {
        "computed_ms": {"median": 50.0, "max": 60.0},
        "kept_ms": {"median": 1.5, "max": 2.0},
        "page_ms": None,
    }


def test_a_configuration_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ratings is at least 1, not 0"):
        FeedbackConfig(ratings=0)
