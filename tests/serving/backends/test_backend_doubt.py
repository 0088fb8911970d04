"""When the backends say that a classifier is not sure, without Triton."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from serving.backends.labels.doubt import Band, calibrated
from serving.backends.labels.model import Labeller
from serving.backends.tokenizer.model import ArticleTokenizer
from serving.backends.tokenizer.unclear import Rules, unknown_token
from tests.serving.graphs import write_tokenizer

REASONS = json.dumps({"1": "text too short", "2": "too little read"})


def labeller(parameters: dict[str, str], *, unclear: bool = True) -> Labeller:
    inputs = [{"name": "probabilities", "dims": [3]}, {"name": "unclear", "dims": [1]}]
    return Labeller(
        ["a", "b", "c"],
        {
            "input": inputs if unclear else inputs[:1],
            "output": [{"name": name} for name in ("mood", "mood_signal", "mood_doubt", "mood_probability")],
            "parameters": {name: {"string_value": text} for name, text in parameters.items()},
        },
    )


def said(answer: dict[str, Any], name: str) -> list[str]:
    return [value.decode() for value in answer[name].ravel()]


PROBABILITIES = np.array([[0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.1, 0.0, 0.9]], np.float32)
CLEAR = np.zeros((3, 1), np.int32)


@pytest.mark.parametrize(
    ("threshold", "probability", "words"),
    [
        (0.7, 0.7, "0.699 after calibration, 0.700 is needed"),
        (0.687, 0.6869995, "0.686 after calibration, 0.687 is needed"),
        (0.68749, 0.6872, "0.687 after calibration, 0.688 is needed"),
    ],
)
def test_what_is_not_enough_never_reads_as_if_it_were(threshold: float, probability: float, words: str) -> None:
    given = np.array([[probability, 1 - probability]], np.float32)
    (why,) = Band(threshold=threshold, reasons={}).why(given, None).ravel()
    assert why.decode() == f"not sure enough: {words}"


def test_below_the_threshold_the_signal_is_the_word_of_doubt_and_the_label_stays() -> None:
    parameters = {"threshold": "0.6", "doubt_word": "no clear signal", "unclear_reasons": REASONS}
    answer = labeller(parameters)(PROBABILITIES, unclear=CLEAR)
    assert said(answer, "mood") == ["b", "a", "c"]
    assert said(answer, "mood_signal") == ["b", "no clear signal", "c"]
    assert said(answer, "mood_doubt") == ["", "not sure enough: 0.500 after calibration, 0.600 is needed", ""]
    np.testing.assert_array_equal(answer["mood_probability"], PROBABILITIES.max(axis=1, keepdims=True))


def test_the_temperature_decides_the_signal_and_changes_no_probability() -> None:
    answer = labeller({"threshold": "0.6", "temperature": "2.5"})(PROBABILITIES, unclear=CLEAR)
    assert said(answer, "mood_signal") == ["unsure", "unsure", "c"]
    np.testing.assert_array_equal(answer["mood_probability"], PROBABILITIES.max(axis=1, keepdims=True))


def test_a_text_that_is_too_little_has_its_reason_however_sure_the_model_is() -> None:
    unclear = np.array([[0], [2], [1]], np.int32)
    answer = labeller({"unclear_reasons": REASONS})(PROBABILITIES, unclear=unclear)
    assert said(answer, "mood_signal") == ["b", "unsure", "unsure"]
    assert said(answer, "mood_doubt") == ["", "too little read", "text too short"]
    with pytest.raises(ValueError, match=r"0 or one of \[1, 2\], not 3"):
        labeller({"unclear_reasons": REASONS})(PROBABILITIES, unclear=np.full((3, 1), 3, np.int32))


def test_without_parameters_and_input_the_signal_is_the_label() -> None:
    answer = labeller({}, unclear=False)(PROBABILITIES)
    assert said(answer, "mood_signal") == said(answer, "mood") == ["b", "a", "c"]
    assert said(answer, "mood_doubt") == ["", "", ""]


def test_a_temperature_is_that_of_the_logits() -> None:
    logits = np.array([[1.0, -2.0, 0.5]])
    powers = np.exp(logits)
    cooled = np.exp(logits / 1.7)
    found = calibrated((powers / powers.sum()).astype(np.float32), 1.7)
    np.testing.assert_allclose(found, cooled / cooled.sum(), rtol=1e-6)
    np.testing.assert_allclose(calibrated(np.array([[0.0, 1.0]], np.float32), 1.0), [[0, 1]], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", "0"), ("temperature", "inf"), ("threshold", "1.5"), ("doubt_word", "")]
)
def test_a_band_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"parameter {name}"):
        Band.read({name: value})


RULES = Rules(least_words=3, least_read=0.5, most_unknown=0.2)


@pytest.mark.parametrize(
    ("text", "ids", "cut", "judged"),
    [
        ("two words", [1] * 10, 0, 1),
        ("three whole words", [1] * 10, 0, 0),
        ("three whole words", [1] * 10, 10, 0),
        ("three whole words", [1] * 10, 11, 2),
        ("three whole words", [1] * 8 + [7] * 2, 0, 0),
        ("three whole words", [1] * 7 + [7] * 3, 0, 3),
        ("", [7], 100, 1),
    ],
)
def test_the_first_reason_counts(text: str, ids: list[int], cut: int, judged: int) -> None:
    assert RULES.judge(text, ids, cut, unknown_id=7) == judged


def test_rules_come_from_the_configuration_and_are_checked() -> None:
    assert Rules.read({}) == Rules()
    assert Rules.read({"least_words": "3", "least_read": "0.5", "most_unknown": "0.2", "reads": "text"}) == RULES
    for name, value in (("least_words", "-1"), ("least_read", "1.1"), ("most_unknown", "-0.1")):
        with pytest.raises(ValueError, match=f"parameter {name}"):
            Rules.read({name: value})


def test_the_unknown_token_is_found_whatever_the_tokenizer(tmp_path: Path) -> None:
    pieces: list[tuple[str, float]] = [("<pad>", 0.0), ("<unk>", 0.0), ("a", -1.0)]
    made = {
        "word_piece": (Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")), 1),
        "unigram": (Tokenizer(models.Unigram(pieces, unk_id=1)), 1),
        "unigram_of_bytes": (Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=True)), None),
    }
    bytes_only = Tokenizer(models.BPE())
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel()
    bytes_only.train_from_iterator(["a text"], trainers.BpeTrainer(vocab_size=300, show_progress=False))
    made["bpe"] = (bytes_only, None)
    for name, (tokenizer, expected) in made.items():
        tokenizer.save(str(tmp_path / name))
        assert unknown_token(tmp_path / name) == expected, name


def tokenizer(folder: Path, *, output: str = "TYPE_INT32") -> ArticleTokenizer:
    write_tokenizer(folder / "tokenizer.json")
    parameters = {"reads": "title,text", "max_tokens": "8", "least_words": "3", "least_read": "0.5"}
    config = {
        "input": [{"name": "title", "optional": True}, {"name": "text"}],
        "output": [{"name": "input_ids", "data_type": "TYPE_INT32"}, {"name": "unclear", "data_type": output}],
        "parameters": {name: {"string_value": text} for name, text in parameters.items()},
    }
    return ArticleTokenizer(folder / "tokenizer.json", config)


def test_the_tokenizer_says_which_texts_are_too_little(tmp_path: Path) -> None:
    asked = tokenizer(tmp_path)

    def judged(*texts: str, title: str = "") -> list[int]:
        rows = {"text": np.array([[text.encode()] for text in texts], np.object_)}
        titles = {"title": np.array([[title.encode()]] * len(texts), np.object_)} if title else {}
        (answer,) = asked([{**rows, **titles}])
        assert isinstance(answer, dict), answer
        assert answer["unclear"].dtype == np.int32
        return [int(value) for value in answer["unclear"].ravel()]

    assert judged("a goal", "a goal won", "a goal won " * 9) == [1, 0, 2]
    assert judged("a goal", title="won") == [0]
    assert judged("xyzzy plugh frob") == [3]


def test_the_output_of_the_tokenizer_is_int32(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="output unclear is TYPE_INT32, not TYPE_STRING"):
        tokenizer(tmp_path, output="TYPE_STRING")
