"""The logic of the backend after the classifiers, labels, without Triton; `detokenizer/` has that of the texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serving.backends.labels.model import BadInputError, Labeller, read_labels

CONFIG = {
    "input": [{"name": "probabilities", "dims": [3]}],
    "output": [
        {"name": name} for name in ("category", "category_probability", "category_probabilities", "category_labels")
    ],
}


def test_best_label_with_its_probability() -> None:
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], np.float32)
    answer = Labeller(["a", "b & ü", "c"], CONFIG)(probabilities)
    assert answer["category"].tolist() == [["b & ü".encode()], [b"a"]]
    np.testing.assert_allclose(answer["category_probability"], [[0.7], [0.5]], rtol=1e-6)
    np.testing.assert_array_equal(answer["category_probabilities"], probabilities)


def test_the_labels_come_with_every_article_and_only_when_they_are_asked_for() -> None:
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], np.float32)
    labeller = Labeller(["a", "b & ü", "c"], CONFIG)
    assert labeller(probabilities)["category_labels"].tolist() == [[b"a", "b & ü".encode(), b"c"]] * 2
    assert set(labeller(probabilities, ["category"])) == {"category"}


def test_labels_must_be_as_many_as_classes() -> None:
    with pytest.raises(ValueError, match="2 labels for 3 classes"):
        Labeller(["a", "b"], CONFIG)


def test_probabilities_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(BadInputError, match="not finite"):
        Labeller(["a", "b", "c"], CONFIG)(np.array([[0.1, np.nan, 0.2]], np.float32))


def test_labels_of_the_version_come_before_those_of_the_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no labels\.txt in"):
        read_labels(tmp_path, "1", "labels.txt")
    (tmp_path / "labels.txt").write_text("old\nolder\n")
    assert read_labels(tmp_path, "1", "labels.txt") == ("old", "older")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "labels.txt").write_text("new\n")
    assert read_labels(tmp_path, "1", "labels.txt") == ("new",)
    (tmp_path / "labels.txt").write_text("a\n\nb\n")
    with pytest.raises(ValueError, match="empty label"):
        read_labels(tmp_path, "2", "labels.txt")
