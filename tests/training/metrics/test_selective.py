"""What doubt is worth: the risk-coverage curve against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics.selective import accuracies, risk_coverage, signalled


def test_accuracy_on_the_surest_articles() -> None:
    confidence = np.asarray([0.6, 0.9, 0.7, 0.8])
    right = np.asarray([False, True, True, False])
    assert accuracies(confidence, right).tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    found = risk_coverage(confidence, right)
    assert found["area"] == pytest.approx(1 - (1 + 1 / 2 + 2 / 3 + 2 / 4) / 4)
    assert found["at"] == pytest.approx({"0.5": 1 / 2, "0.8": 2 / 3, "0.9": 2 / 4, "1": 2 / 4})
    assert found["curve"][0] == [0.25, 1.0]
    assert found["curve"][-1] == [1.0, 0.5]


def test_of_equally_sure_answers_none_comes_first() -> None:
    right = np.asarray([True, False, False, True])
    for order in ([0, 1, 2, 3], [1, 2, 0, 3]):
        assert accuracies(np.full(4, 0.5), right[order]).tolist() == pytest.approx([0.5] * 4)


def test_signals() -> None:
    found = signalled(["real", "no clear signal", "fake", "fake"], ["real", "real", "real", "fake"], ["real", "fake"])
    assert found["said"].tolist() == [True, False, True, True]
    assert found["right"].tolist() == [True, False, False, True]
