"""Temperature, band and figures, on answers that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from export.calibration.figures import ALL, Judged
from export.calibration.fitting import Band, calibrated, fit_band, fit_temperature, risk_coverage, weights


def answers(count: int, hotter: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are true at a temperature, and labels drawn from the true ones."""
    random = np.random.default_rng(seed)
    true = random.dirichlet([0.6, 0.6, 0.6], count)
    labels = np.array([random.choice(3, p=row) for row in true])
    return calibrated(true, 1 / hotter), labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_was_lost_is_found(temperature: float) -> None:
    probabilities, labels = answers(4000, temperature)
    found = fit_temperature(probabilities, labels, weights(["a"] * len(labels)))
    assert found == pytest.approx(temperature, rel=0.1)


def test_every_collection_weighs_the_same() -> None:
    np.testing.assert_allclose(weights(["a", "b", "a", "a"]), [1 / 6, 1 / 2, 1 / 6, 1 / 6])


def test_the_curve_has_an_entry_for_each_threshold_and_leaves_out_what_is_never_answered() -> None:
    sure = np.array([0.9, 0.5, 0.7, 0.7, -np.inf])
    right = np.array([True, False, True, False, False])
    threshold, answered, wrong = risk_coverage(sure, right, np.full(5, 0.2))
    np.testing.assert_allclose(threshold, [0.9, 0.7, 0.5])
    np.testing.assert_allclose(answered, [0.2, 0.6, 0.8])
    np.testing.assert_allclose(wrong, [0, 1 / 3, 1 / 2])


def band_of(right: list[bool], risk: float, *, clear: list[bool] | None = None) -> Band:
    """The band of articles that grow less sure one by one, of two classes of which the first is always said."""
    sure = np.linspace(0.99, 0.51, len(right))
    labels = np.array([0 if one else 1 for one in right])
    enough = np.ones(len(right), bool) if clear is None else np.array(clear)
    return fit_band(np.stack([sure, 1 - sure], axis=1), labels, ["a"] * len(right), enough, risk=risk)


def answered(band: Band, count: int) -> int:
    sure = np.linspace(0.99, 0.51, count)
    return int((calibrated(np.stack([sure, 1 - sure], axis=1), band.temperature).max(axis=1) >= band.threshold).sum())


def test_the_band_answers_as_many_as_it_may() -> None:
    # Wrong are the 7th and from the 11th on all: 10 answered have 10 % wrong, 11 have 18 %, 12 have 25 %.
    right = [index not in (6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19) for index in range(20)]
    band = band_of(right, 0.2)
    assert band.reached
    assert answered(band, 20) == 11
    assert answered(band_of(right, 0.1), 20) == 10


def test_where_all_answers_are_good_enough_there_is_no_threshold() -> None:
    assert band_of([True] * 18 + [False] * 2, 0.2).threshold == 0


def test_a_band_that_cannot_be_reached_is_the_best_that_answers_a_tenth() -> None:
    right = [False] * 2 + [True, True, True, False] * 4 + [False] * 2
    band = band_of(right, 0.05)
    assert not band.reached
    assert answered(band, 20) == 17  # 5 of 17 are wrong


def test_texts_that_are_too_little_are_never_answered_and_not_fitted_on() -> None:
    right = [False] * 10 + [True] * 10
    band = band_of(right, 0.2, clear=right)
    assert band.reached
    assert band.threshold == 0
    with pytest.raises(ValueError, match="none of the texts"):
        band_of(right, 0.2, clear=[False] * 20)


def test_the_figures_are_those_of_each_collection_and_of_all() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.7, 0.3], [0.95, 0.05]])
    judged = Judged(
        probabilities=probabilities,
        labels=np.array([0, 1, 1, 0, 0]),
        sources=["a", "a", "a", "a", "b"],
        clear=np.array([True, True, True, False, True]),
        bands=dict.fromkeys("ab", Band(temperature=1.0, threshold=0.75, reached=True)),
    )
    assert judged.names() == ["a", "b", ALL]
    a = judged.figures("a")
    assert {key: a[key] for key in ("articles", "clear", "coverage", "accuracy", "accuracy_answered")} == {
        "articles": 4,
        "clear": 0.75,
        "coverage": 0.5,
        "accuracy": 0.5,
        "accuracy_answered": 0.5,
    }
    # In bins of their own: 0.9 is right, 0.8 and 0.6 are wrong.
    assert a["ece"] == a["ece_calibrated"] == pytest.approx((0.1 + 0.8 + 0.6) / 3, abs=1e-3)
    assert a["aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3) / 3, abs=1e-3)
    # Of a's labels the first is said four times and true twice, the second never; of b's there is the first alone.
    assert a["macro_f1"] == pytest.approx((2 * 2 / 6 + 0) / 2, abs=1e-4)
    assert judged.figures("b")["macro_f1"] == 1
    assert judged.figures(ALL)["macro_f1"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-4)
    assert judged.figures(ALL)["coverage"] == 0.75
    assert judged.figures(ALL)["accuracy"] == 0.75
    nothing = Judged(
        probabilities=probabilities[:1],
        labels=np.array([0]),
        sources=["a"],
        clear=np.array([False]),
        bands=judged.bands,
    ).figures("a")
    assert (nothing["coverage"], nothing["accuracy_answered"], nothing["ece"], nothing["aurc"]) == (0, None, None, None)


def test_the_articles_of_each_collection_are_judged_by_its_own_band() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    cool, hot = Band(temperature=0.5, threshold=0.98, reached=True), Band(temperature=2.0, threshold=0.8, reached=True)
    judged = Judged(
        probabilities=probabilities,
        labels=np.array([0, 0]),
        sources=["a", "b"],
        clear=np.array([True, True]),
        bands={"a": cool, "b": hot},
    )
    np.testing.assert_allclose(judged.sure, [0.81 / 0.82, 0.75])
    assert (judged.figures("a")["coverage"], judged.figures("b")["coverage"]) == (1, 0)
    assert judged.figures("b")["ece_calibrated"] == 0.25
    assert judged.temperatures() == [0.5, 2.0]
    np.testing.assert_allclose(judged.reliability(fitted=True)[0], [0.75, 0.81 / 0.82])
    np.testing.assert_allclose(judged.reliability(fitted=False)[0], [0.9])


def test_a_text_too_short_is_no_part_of_the_calibration_error_however_unsure_the_model_is_of_the_others() -> None:
    band = Band(temperature=20.0, threshold=0.0, reached=True)
    judged = Judged(
        probabilities=np.full((2, 20), 0.05),
        labels=np.array([0, 0]),
        sources=["a", "a"],
        clear=np.array([True, False]),
        bands={"a": band},
    )
    assert judged.figures("a")["ece_calibrated"] == 0.95


def test_a_label_that_is_only_said_of_a_collection_has_no_f1() -> None:
    judged = Judged(
        probabilities=np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]),
        labels=np.array([0, 0]),
        sources=["a", "a"],
        clear=np.array([True, True]),
        bands={"a": Band(temperature=1.0, threshold=0.0, reached=True)},
    )
    assert judged.figures("a")["macro_f1"] == pytest.approx(2 * 1 / (2 + 1), abs=1e-4)
