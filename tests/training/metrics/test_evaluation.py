import numpy as np
import pytest

from training.metrics.calibration import decision_offset, shifted
from training.metrics.classification import calibration_error, evaluate, macro_f1


def test_figures_of_a_small_confusion() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    labels = np.array([0, 0, 1, 1])
    result = evaluate(probabilities, labels, ("real", "fake"), ["a", "a", "b", "b"], smallest_source=2)
    assert result["accuracy"] == 0.75
    assert result["per_class"]["real"] == {"f1": pytest.approx(0.8), "articles": 2}
    assert result["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert result["per_source"]["a"] == {"articles": 2, "accuracy": 1.0, "macro_f1": 1.0}
    assert result["per_source"]["b"]["accuracy"] == 0.5


def test_small_sources_are_left_out() -> None:
    result = evaluate(np.array([[1.0, 0.0]]), np.array([0]), ("real", "fake"), ["a"])
    assert result["per_source"] == {}


def test_macro_f1_counts_a_class_that_is_only_predicted() -> None:
    assert macro_f1(np.array([0, 1]), np.array([0, 0])) == pytest.approx((2 / 3 + 0) / 2)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    sure_and_right = np.array([[1.0, 0.0]] * 4)
    assert calibration_error(sure_and_right, np.zeros(4, dtype=np.int64)) == 0
    assert calibration_error(sure_and_right, np.ones(4, dtype=np.int64)) == 1


def test_an_offset_mends_a_model_that_calls_one_class_too_seldom() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.4).astype(np.int64)
    logits = rng.normal(loc=np.where(labels == 1, 1.0, -1.0)) - 0.8  # the second class is held back
    second = 1 / (1 + np.exp(-logits))
    probabilities = np.stack([1 - second, second], axis=1)
    offset = decision_offset(probabilities, labels)
    assert 0.3 < offset <= 1.0
    mended = shifted(probabilities, offset)
    np.testing.assert_allclose(mended.sum(axis=1), 1, rtol=1e-6)
    assert macro_f1(mended.argmax(axis=1), labels) > macro_f1(probabilities.argmax(axis=1), labels) + 0.01


def test_an_offset_that_changes_nothing_is_none_at_all() -> None:
    assert decision_offset(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])) == pytest.approx(0)
    with pytest.raises(ValueError, match="between two classes, not 3"):
        decision_offset(np.ones((1, 3)) / 3, np.array([0]))
