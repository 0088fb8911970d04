"""Coordinate descent over a landscape that is known, and the file that it writes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from benchmarks.common.server import BenchmarkError
from benchmarks.load.tune.knobs import Knob, TuneConfig, knobs
from benchmarks.load.tune.tuning import Overrides, to_toml, tune

KNOBS = (
    Knob(name="summary.instances", words="", values=(1, 3)),
    Knob(name="max_running", words="", values=(4, 20)),
    Knob(name="queue_delay_microseconds", words="", values=(0,)),
)


def landscape(overrides: Overrides, turn: int) -> float:
    instances, running = overrides.get("summary.instances", 2), overrides.get("max_running", 12)
    if running == 4:
        raise BenchmarkError("the server did not start:\nits log")
    delay_us = overrides.get("queue_delay_microseconds", 500)
    return 40 + 4 * instances + 0.5 * running - (0.0001 * delay_us) + 0.1 * turn


def test_the_best_values_are_taken_and_small_gains_are_not() -> None:
    found = tune(landscape, KNOBS, rounds=3, minimum_gain=0.03)
    assert found.overrides == {"summary.instances": 3, "max_running": 20}
    assert found.gain == pytest.approx((40.05 + 12 + 10 + 0.05) / (40.05 + 8 + 6 + 0.05) - 1, abs=0.01)
    failed = [trial for trial in found.trials if trial.failure]
    assert [(trial.knob, trial.value, trial.score, trial.failure) for trial in failed] == [
        ("max_running", 4, 0.0, "the server did not start:")
    ]


def test_nothing_is_taken_where_the_repository_is_best() -> None:
    found = tune(lambda overrides, turn: 50.0 - len(overrides), KNOBS, rounds=1, minimum_gain=0.03)
    assert (dict(found.overrides), found.gain) == ({}, 0.0)


def test_a_deployment_file_holds_the_overrides() -> None:
    overrides: dict[str, Any] = {"max_running": 8, "summary.instances": 4, "length_buckets": [64, 512]}
    assert tomllib.loads(to_toml(overrides)) == {
        "max_running": 8,
        "length_buckets": [64, 512],
        "summary": {"instances": 4},
    }


@pytest.mark.parametrize("cores", [1, 2, 16])
def test_knobs_fit_the_machine(cores: int) -> None:
    tried = {knob.name: knob.values for knob in knobs(cores)}
    assert all(value >= 1 for value in tried["summary.instances"])
    assert tried["category.instances"] == ((cores,) if cores > 1 else ())
    assert list(tried) == [
        "summary.instances",
        "summary.batch_together",
        "summary.threads",
        "length_buckets",
        "max_running",
        "queue_delay_microseconds",
        "category.instances",
        "veracity.instances",
    ]


def test_wrong_settings_are_told() -> None:
    with pytest.raises(ValueError, match="rounds is a number above 0, not 0"):
        TuneConfig(rounds=0)
