"""The logic of the backends after the models, labels and detokenizer, without Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.detokenizer.model import Detokenizer, cut_unfinished, read_cut
from serving.backends.labels.model import BadInputError, Labeller, read_labels
from tests.serving.graphs import write_tokenizer

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


@pytest.fixture(scope="module")
def detokenizer(tmp_path_factory: pytest.TempPathFactory) -> Detokenizer:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return Detokenizer(path)


def test_special_tokens_are_skipped(detokenizer: Detokenizer) -> None:
    answers: Any = detokenizer([np.array([[0, 4, 5, 2, 1]]), np.array([[2, 0, 10, 2], [2, 0, 2, 1]])])
    assert [answer.tolist() for answer in answers] == [[[b"a goal"]], [[b"won"], [b""]]]


def test_what_is_an_answer_already_comes_out_as_it_is(detokenizer: Detokenizer) -> None:
    ids = [np.array([[0, 4, 2], [0, 5, 2]]), np.array([[10]])]
    given = np.array([[b""], ["zwölf Wörter".encode()]], np.object_)
    answers: Any = detokenizer(ids, [given, None])
    assert [answer.tolist() for answer in answers] == [[[b"a"], ["zwölf Wörter".encode()]], [[b"won"]]]
    assert isinstance(detokenizer([np.array([[99]])], [np.array([[b"x"]], np.object_)])[0], Exception)


@pytest.mark.parametrize("token", [-1, 12])
def test_ids_outside_the_vocabulary_fail_alone(detokenizer: Detokenizer, token: int) -> None:
    answers: Any = detokenizer([np.array([[4]]), np.array([[token]]), np.array([[5]])])
    assert f"token id {token} is not within 0 and 11" in str(answers[1])
    assert [answers[0].item(), answers[2].item()] == [b"a", b"goal"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("He won. She lost. They", "He won. She lost."),
        ('He won. "She lost." They all', 'He won. "She lost."'),
        ("He met Mr. Smith of the U.S. Senate on", "He met Mr. Smith of the U.S. Senate on\u2026"),
        ("It rose 2.5 per cent. George W. Bush", "It rose 2.5 per cent."),
        ("Is it so? It", "Is it so?"),
        ("He won. She lost.", "He won. She lost."),
        ("The long debate,", "The long debate\u2026"),
    ],
)
def test_an_unfinished_text_ends_with_its_last_whole_sentence(text: str, cut: str) -> None:
    assert cut_unfinished(text) == cut


def test_only_what_the_greatest_length_cut_off_is_unfinished(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "tokenizer.json")
    cutting = Detokenizer(tmp_path / "tokenizer.json", cut_unless_padded_with=1)
    answers: Any = cutting([np.array([[0, 4, 5, 1]]), np.array([[0, 4, 5, 10]]), np.array([[0, 2]]), np.zeros((1, 0))])
    assert [answer.item().decode() for answer in answers] == ["a goal", "a goal won\u2026", "", ""]


def test_cutting_is_asked_for_with_the_padding_id() -> None:
    assert read_cut({}) is None
    assert read_cut({"unfinished": "cut", "pad_id": "1"}) == 1
    with pytest.raises(ValueError, match="needs the parameter pad_id"):
        read_cut({"unfinished": "cut"})
    with pytest.raises(ValueError, match="keep or cut, not 'trim'"):
        read_cut({"unfinished": "trim"})
