"""Confidence intervals: the figures, the draws by article, and the paired difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]
from sklearn.metrics import f1_score

from training.metrics import classification, intervals
from training.metrics.intervals import difference, estimates, macro_f1, mean

RANDOM = np.random.default_rng(3)
EACH = [str(index) for index in range(400)]


def test_the_interval_of_a_mean_is_that_of_another_implementation() -> None:
    values = RANDOM.gamma(2.0, size=400)
    found = estimates({"mean": mean(values)}, EACH, draws=4000)["mean"]
    other = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert found["value"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(other.low, abs=0.02)
    assert found["high"] == pytest.approx(other.high, abs=0.02)


def test_figures_are_those_of_the_library() -> None:
    labels = RANDOM.integers(0, 3, size=400)
    predicted = np.where(RANDOM.random(400) < 0.6, labels, RANDOM.integers(0, 3, size=400))
    chances = RANDOM.dirichlet(np.ones(3), size=400)
    right = chances.argmax(axis=1) == labels
    found = estimates(
        {
            "f1": macro_f1(predicted, labels, 5),  # two labels that do not occur do not count
            "error": intervals.calibration_error(chances.max(axis=1), right),
        },
        EACH,
        draws=10,
    )
    assert found["f1"]["value"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found["error"]["value"] == pytest.approx(classification.calibration_error(chances, labels))


def test_macro_f1_is_over_the_labels_of_the_table() -> None:
    labels, predicted = np.asarray([0, 0, 1, 1]), np.asarray([0, 2, 1, 1])  # the third label is never true
    found = estimates({"f1": macro_f1(predicted, labels, 4)}, list("abcd"), draws=10)["f1"]
    assert found["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["value"] == pytest.approx(f1_score(labels, predicted, average="macro", labels=[0, 1]))


def test_rows_of_one_article_are_drawn_together() -> None:
    values = np.repeat(RANDOM.normal(size=20), 20)
    alone = estimates({"mean": mean(values)}, EACH)["mean"]
    together = estimates({"mean": mean(values)}, [str(index // 20) for index in range(400)])["mean"]
    assert together["value"] == alone["value"]
    widths = [one["high"] - one["low"] for one in (together, alone)]
    assert widths[0] / widths[1] == pytest.approx(20**0.5, rel=0.25)


def test_many_rows_are_drawn_in_parts_and_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RANDOM.normal(size=400)
    whole = estimates({"mean": mean(values)}, EACH, draws=50)
    monkeypatch.setattr(intervals, "_CELLS", 400 * 7)
    parts = estimates({"mean": mean(values)}, EACH, draws=50)
    assert parts["mean"] == pytest.approx(whole["mean"], rel=1e-5)
    assert estimates({"mean": mean(values)}, EACH, draws=50, seed=1)["mean"]["low"] != parts["mean"]["low"]


def test_a_difference_is_of_the_same_draws() -> None:
    hard = RANDOM.normal(size=400)
    gain = estimates({"gain": difference(mean(hard + 0.01), mean(hard))}, EACH)["gain"]
    assert gain["low"] == pytest.approx(0.01, abs=1e-5)
    assert gain["high"] == pytest.approx(0.01, abs=1e-5)


def test_a_mean_of_some_rows() -> None:
    found = estimates({"mean": mean([1.0, 5.0, 0.0], [True, False, True])}, list("abc"), draws=200)["mean"]
    assert found["value"] == 0.5
    nothing = estimates({"mean": mean([1.0], [False])}, ["a"], draws=5)["mean"]
    assert nothing == {"value": 0.0, "low": 0.0, "high": 0.0}
