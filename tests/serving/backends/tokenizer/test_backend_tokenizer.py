"""The tokenizer backend's logic, without Triton."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.tokenizer.configuration import Setting, read_options
from serving.backends.tokenizer.model import (
    ArticleTokenizer,
    BadInputError,
    choose_settings,
    join_article,
)
from tests.serving.graphs import write_tokenizer

PADDING = {"direction": "right", "pad_id": 1, "pad_type_id": 0}
SETTINGS = (
    Setting(name="min_length", minimum=0, maximum=50, default=16),
    Setting(name="max_length", minimum=4, maximum=50, default=32),
    Setting(name="length_penalty", minimum=-2, maximum=2, default=1, steps_per_unit=10),
)


def config(**changes: str) -> dict[str, Any]:
    parameters = {"reads": "title,text", "max_tokens": "16", "buckets": "8,16"} | changes
    return {
        "input": [
            {"name": "title", "data_type": "TYPE_STRING", "optional": True},
            {"name": "text", "data_type": "TYPE_STRING"},
        ],
        "output": [
            {"name": "input_ids", "data_type": "TYPE_INT64"},
            {"name": "attention_mask", "data_type": "TYPE_INT32"},
            {"name": "token_type_ids", "data_type": "TYPE_INT32"},
            {"name": "tokens", "data_type": "TYPE_INT32"},
            {"name": "truncated_tokens", "data_type": "TYPE_INT32"},
        ],
        "parameters": {key: {"string_value": value} for key, value in parameters.items()},
    }


def column(*texts: bytes) -> Any:
    array = np.empty((len(texts), 1), np.object_)
    array[:, 0] = texts
    return array


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> ArticleTokenizer:
    return ArticleTokenizer(path, config())


def ask(tokenizer: ArticleTokenizer, text: bytes, title: bytes | None = None) -> dict[str, Any]:
    answer = tokenizer([{"text": column(text), "title": None if title is None else column(title)}])[0]
    assert isinstance(answer, dict), answer
    return answer


def test_pads_to_the_smallest_bucket_in_the_types_of_the_configuration(tokenizer: ArticleTokenizer) -> None:
    answer = ask(tokenizer, b"a goal")
    assert answer["input_ids"].tolist() == [[0, 4, 5, 2, 1, 1, 1, 1]]
    assert answer["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]]
    assert (answer["input_ids"].dtype, answer["attention_mask"].dtype) == (np.int64, np.int32)
    assert ask(tokenizer, b"goal " * 7)["input_ids"].shape == (1, 16)


def test_truncation_keeps_the_beginning_and_the_special_tokens_and_counts_the_rest(tokenizer: ArticleTokenizer) -> None:
    answer = ask(tokenizer, b"a " + b"goal " * 99)
    assert answer["input_ids"].tolist() == [[0, 4, *[5] * 13, 2]]
    assert answer["tokens"].tolist() == [[102]]
    assert answer["truncated_tokens"].tolist() == [[86]]


def test_title_and_text_are_joined_and_cleaned(tokenizer: ArticleTokenizer) -> None:
    def joined(text: bytes, title: bytes | None = None) -> str:
        return join_article({"title": title, "text": text}, tokenizer.options)

    assert joined(b"  a\x00goal\x1b ", b" won ") == "won\na goal"
    assert joined(b"a goal", b" \x07 ") == joined(b"a goal") == "a goal"


def test_a_model_of_another_language_reads_other_scripts(tokenizer: ArticleTokenizer, path: Path) -> None:
    text = "Мост открыт".encode()
    (refused,) = tokenizer([{"text": column(text), "title": None}])
    assert str(refused) == (
        "text cannot be read: the models read English, but 100% of its letters are not of the Latin alphabet, most are "
        "Cyrillic; send the article's text in English"
    )
    assert ask(ArticleTokenizer(path, config(scripts="any")), text)["tokens"].shape == (1, 1)


def summarizing(path: Path) -> ArticleTokenizer:
    """The tokenizer of a summarizer, with a least length of 6 tokens."""
    setting = json.dumps({"minimum": 0, "maximum": 50, "default": 6})
    written = config(reads="text", **{"setting.min_length": setting})
    written["input"].append({"name": "min_length", "data_type": "TYPE_INT32", "optional": True})
    written["output"] += [
        {"name": "min_length", "data_type": "TYPE_UINT8"},
        {"name": "verbatim", "data_type": "TYPE_STRING"},
    ]
    return ArticleTokenizer(path, written)


@pytest.mark.parametrize(
    ("texts", "least", "verbatim"),
    [
        ([b"a  goal"], 4, [b"a goal"]),  # with its beginning and its end
        ([b"a goal won a"], 6, [b"a goal won a"]),
        ([b"a goal won a goal"], 6, [b""]),
        ([b"goal " * 99], 6, [b""]),
        ([b"a goal", b"goal " * 9], 6, [b"a goal", b""]),  # the long one keeps its least length
        ([b"a goal", b"a"], 4, [b"a goal", b"a"]),
    ],
)
def test_the_least_length_follows_a_short_text_down(
    path: Path, texts: list[bytes], least: int, verbatim: list[bytes]
) -> None:
    (answer,) = summarizing(path)([{"text": column(*texts), "min_length": None}])
    assert isinstance(answer, dict)
    assert answer["min_length"].shape == (len(texts), 1 + least)
    assert answer["verbatim"].tolist() == [[text] for text in verbatim]


def test_no_text_is_its_own_summary_where_none_is_asked_for(path: Path) -> None:
    (answer,) = summarizing(path)([{"text": column(b"a goal"), "min_length": np.array([[0]])}])
    assert isinstance(answer, dict)
    assert (answer["min_length"].shape, answer["verbatim"].tolist()) == ((1, 1), [[b""]])


def test_a_special_token_in_an_article_is_text(tokenizer: ArticleTokenizer) -> None:
    ids = ask(tokenizer, b"a </s> goal")["input_ids"][0].tolist()
    assert ids.count(2) == 1
    assert ids.index(5) < ids.index(2)


def test_alone_and_in_a_batch_is_the_same(tokenizer: ArticleTokenizer) -> None:
    texts = [b"a goal", b"goal " * 12, b"the last minute", b"x " * 300]
    together = tokenizer([{"text": column(text), "title": None} for text in texts])
    for text, answer in zip(texts, together, strict=True):
        assert isinstance(answer, dict)
        for name, array in ask(tokenizer, text).items():
            np.testing.assert_array_equal(answer[name], array)


def test_a_bad_article_is_an_error_of_its_own_request(tokenizer: ArticleTokenizer) -> None:
    bodies = [b"a goal", b" ", b"\xff", b"won"]
    answers = tokenizer([{"text": column(body), "title": None} for body in bodies])
    assert [isinstance(answer, BadInputError) for answer in answers] == [False, True, True, False]
    assert isinstance(answers[3], dict)
    np.testing.assert_array_equal(answers[3]["input_ids"], ask(tokenizer, b"won")["input_ids"])
    assert all(isinstance(answer, BadInputError) for answer in tokenizer([{"text": column(b""), "title": None}]))


def test_rows_of_one_request_share_the_bucket_of_the_longest(tokenizer: ArticleTokenizer) -> None:
    answer = tokenizer([{"text": column(b"a goal", b"goal " * 9), "title": column(b"", b"won")}])[0]
    assert isinstance(answer, dict)
    assert answer["input_ids"].shape == (2, 16)
    assert answer["tokens"].tolist() == [[4], [12]]


def test_configuration_overrides_the_padding_of_the_file(path: Path) -> None:
    answer = ask(ArticleTokenizer(path, config(padding_side="left", pad_id="3", pad_type_id="9")), b"a goal")
    assert answer["input_ids"].tolist() == [[3, 3, 3, 3, 0, 4, 5, 2]]
    assert answer["token_type_ids"].tolist() == [[9, 9, 9, 9, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reads": "headline"}, r"reads names \['headline'\]"),
        ({"reads": ""}, "needs the parameter reads"),
        ({"buckets": "16,8"}, "must ascend and end with max_tokens"),
        ({"buckets": "8,12"}, "must ascend and end with max_tokens"),
        ({"padding_side": "top"}, "left or right"),
        ({"max_token": "4"}, "unknown parameters"),
        ({"scripts": "greek"}, r"scripts is one of \['latin', 'any'\], not 'greek'"),
        ({"setting.num_beams": json.dumps({"minimum": 1, "maximum": 8, "default": 4})}, "setting num_beams needs"),
    ],
)
def test_a_wrong_configuration_is_told(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_options(config(**changes), PADDING)


def test_own_summaries_need_a_least_length() -> None:
    written = config()
    written["output"].append({"name": "verbatim", "data_type": "TYPE_STRING"})
    with pytest.raises(ValueError, match="needs the setting min_length"):
        read_options(written, PADDING)


def test_pad_id_must_be_known() -> None:
    with pytest.raises(ValueError, match="give the parameter pad_id"):
        read_options(config(), None)


def test_size_limit_counts_title_and_text() -> None:
    options = read_options(config(max_article_bytes="10"), PADDING)
    assert join_article({"title": b"12345", "text": b"abcde"}, options) == "12345\nabcde"
    with pytest.raises(BadInputError, match="11 bytes of UTF-8, the limit is 10"):
        join_article({"title": b"12345", "text": b"123456"}, options)


def chosen(**given: float) -> dict[str, float]:
    return choose_settings({name: np.array([[value]]) for name, value in given.items()}, SETTINGS)


def test_settings_default_and_travel_as_lengths() -> None:
    assert chosen() == {"min_length": 16, "max_length": 32, "length_penalty": 1}
    assert chosen(length_penalty=-0.5)["length_penalty"] == -0.5
    assert SETTINGS[2].encode(-0.5) == 16
    assert SETTINGS[0].encode(0) == 1


def test_a_low_max_length_takes_the_default_min_length_down() -> None:
    assert chosen(max_length=8) == {"min_length": 8, "max_length": 8, "length_penalty": 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_length": 51}, "min_length must lie between 0 and 50, not 51"),
        ({"length_penalty": float("inf")}, "length_penalty must lie between -2 and 2, not inf"),
        ({"min_length": 20, "max_length": 10}, r"min_length \(20\) must not be above max_length \(10\)"),
        ({"min_length": 40}, r"min_length \(40\) must not be above max_length \(32\)"),
    ],
)
def test_bad_settings_are_told(given: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        chosen(**given)


def test_rows_of_one_request_share_their_settings() -> None:
    with pytest.raises(BadInputError, match="max_length differs within one request"):
        choose_settings({"max_length": np.array([[8], [9]])}, SETTINGS)
