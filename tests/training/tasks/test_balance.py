"""Collections count alike, in the loss and in what the best checkpoint is chosen by."""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_splits
from training.loop.prepared import read_table
from training.loop.worker import learning_of
from training.metrics.calibration import decision_offset
from training.metrics.classification import validation_figures
from training.runs.fitting import Data, prepare
from training.tasks.balance import article_weights, source_weights

SOURCES = ["large"] * 24 + ["small"] * 8


def _splits(**columns: Any) -> dict[str, Any]:
    splits = toy_splits(Task.VERACITY, train=32)
    for split in ("train", "validation"):
        splits[split]["source"] = SOURCES
    return {**splits, "train": splits["train"].assign(**columns)}


def test_the_weights_of_sources_and_labels() -> None:
    sources, classes = ["a", "a", "a", "b", ""], [0, 0, 1, 0, 0]
    whole = source_weights(sources, classes, 1.0)
    np.testing.assert_allclose(whole, np.array([0.5, 0.5, 1, 1, 1]) * 5 / 4)
    half = source_weights(sources, classes, 0.5)
    assert half[0] / half[2] == pytest.approx(0.5**0.5)
    assert source_weights(sources, classes, 0.0) == [1.0] * 5


def test_the_table_s_own_weights_are_multiplied() -> None:
    frame = _splits()["train"]
    classes = [0, 1] * 16
    assert article_weights(frame, classes, balance_sources=0.0) is None
    balanced = article_weights(frame, classes, balance_sources=1.0)
    both = article_weights(frame.assign(weight=[2.0] + [1.0] * 31), classes, balance_sources=1.0)
    assert balanced is not None
    assert both is not None
    assert both[0] / both[2] == pytest.approx(2)
    assert both[31] / both[2] == pytest.approx(balanced[31] / balanced[2]) == pytest.approx(3)
    assert np.mean(both) == pytest.approx(1)


def test_a_run_reads_the_weights_and_the_sources(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = Data(splits=_splits())
    recipe = small(teacher=0.0, balance_sources=1.0)
    with caplog.at_level(logging.INFO):
        prepared = prepare(Task.VERACITY, recipe, data, tmp_path / "balanced")
    assert "balanced: large 24 -> 16, small 8 -> 16" in caplog.text
    sums: defaultdict[tuple[str, int], float] = defaultdict(float)
    train = read_table(prepared.folder / "train")
    for weight, label, source in zip(train["weight"], train["class"], SOURCES, strict=True):
        sums[source, label] += weight
    assert list(sums.values()) == pytest.approx([8.0] * 4)
    assert list(read_table(prepared.folder / "validation")["source"]) == SOURCES
    plain = prepare(Task.VERACITY, small(teacher=0.0), data, tmp_path / "plain")
    assert plain.key != prepared.key
    assert "weight" not in read_table(plain.folder / "train").column_names
    with pytest.raises(ValueError, match=r"balance_sources is a share from 0 to 1, not 2"):
        small(balance_sources=2.0)


def test_the_best_checkpoint_is_good_in_every_source() -> None:
    """Of two models that are wrong equally often, the one that fails in the small source is worse."""
    sources = ["large"] * 90 + ["small"] * 10 + ["few"] * 2 + ["one label"] * 20
    labels = np.array([0, 1] * 51 + [0] * 20)
    scores = {}
    for name, wrong in (("large", slice(0, 10)), ("small", slice(90, 100))):
        predicted = labels.copy()
        predicted[wrong] = 1 - predicted[wrong]
        scores[name] = validation_figures(predicted, labels, sources)["macro_f1"]
        assert scores[name] != validation_figures(predicted, labels)["macro_f1"]
    assert scores == pytest.approx({"large": (80 / 90 + 1) / 2, "small": 0.5})
    assert validation_figures(labels, labels, ["few"] * len(labels))["accuracy"] == 1.0
    nothing = validation_figures(np.zeros(4, int), np.array([0, 0, 0, 1]), ["a", "b", "c", "d"])
    assert nothing == validation_figures(np.zeros(4, int), np.array([0, 0, 0, 1]))

    class Prediction:
        predictions = np.eye(2)[1 - labels]
        label_ids = np.eye(2)[labels]

    Prediction.predictions[90:100] = np.eye(2)[labels[90:100]]
    measure = learning_of(Task.VERACITY, small(), sources).metrics
    assert measure is not None
    assert measure(Prediction())["macro_f1"] == pytest.approx(0.5)


def test_the_decision_is_that_of_the_sources() -> None:
    labels = np.array([0, 1] * 50)
    sure = np.where(labels == 1, 0.4, 0.2)  # right where fake begins at 0.3, in the large source
    sure[90:] = np.where(labels[90:] == 1, 0.7, 0.55)  # and at 0.6 in the small one
    probabilities = np.stack([1 - sure, sure], axis=1)
    sources = ["large"] * 90 + ["small"] * 10
    assert decision_offset(probabilities, labels) > 0.4
    tripled = np.concatenate([probabilities, probabilities[90:].repeat(20, axis=0)])
    more = np.concatenate([labels, labels[90:].repeat(20)])
    assert decision_offset(tripled, more, [*sources, *["small"] * 200]) == decision_offset(
        probabilities, labels, sources
    )
