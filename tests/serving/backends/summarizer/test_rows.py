"""A request's tensors become articles, and summaries the output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.article import Article
from serving.backends.summarizer.configuration import read_options
from serving.backends.summarizer.rows import read_articles, sequences
from tests.serving.backends.summarizer.standing import ARTEFACT, config, tensors

OPTIONS = read_options(config())


def articles(given: dict[str, Any]) -> list[Article]:
    return read_articles(given, OPTIONS, ARTEFACT)


def test_padding_is_left_out_and_settings_are_read_from_lengths() -> None:
    given = tensors([0, 5, 6, 2], [0, 7, 2], min_length=9, max_length=33, num_beams=3, length_penalty=-1.5)
    first, second = articles(given)
    assert (first.ids.tolist(), second.ids.tolist()) == ([0, 5, 6, 2], [0, 7, 2])
    assert first.settings == second.settings
    settings = first.settings
    assert (settings.min_length, settings.max_length, settings.num_beams) == (9, 33, 3)
    assert settings.length_penalty == pytest.approx(-1.5)
    assert (settings.no_repeat_ngram_size, settings.early_stopping) == (3, True)
    assert first.mask is None
    assert first.plain


def test_articles_are_copies() -> None:
    given = tensors([0, 5, 2])
    given["sentence_ends"] = np.full((1, 8), 1, np.int32)
    given["sampling"] = np.full((1, 82), 0.5, np.float32)
    (article,) = articles(given)
    for array in given.values():
        array[:] = 0
    assert article.ids.tolist() == [0, 5, 2]
    assert article.sentence_ends is not None
    assert article.sentence_ends.tolist() == [1, 1, 1]
    assert article.sampling is not None
    assert article.sampling.draws.tolist() == [0.5] * 80
    assert (article.sampling.temperature, article.sampling.top_p) == (0.5, 0.5)


def test_a_temperature_of_zero_searches() -> None:
    given = tensors([0, 5, 2])
    given["sampling"] = np.zeros((1, 82), np.float32)
    assert articles(given)[0].sampling is None


def test_padding_between_windows_stays_and_is_told() -> None:
    given = tensors([0, 5, 6, 2, 0, 7, 2])
    given["attention_mask"][0, 3] = 0
    (article,) = articles(given)
    assert article.ids.tolist() == [0, 5, 6, 2, 0, 7, 2]
    assert article.mask is not None
    assert article.mask.tolist() == [1, 1, 1, 0, 1, 1, 1]


def test_an_article_of_nothing_is_read_as_its_first_token() -> None:
    given = tensors([])
    assert articles(given)[0].ids.tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_ids": None}, "lacks input_ids"),
        ({"attention_mask": np.ones((1, 7), np.int32)}, r"the same two dimensions, not \[\(1, 8\), \(1, 7\)\]"),
        ({"sampling": np.zeros((2, 1), np.float32)}, "sampling has a row for each of 1 articles"),
        ({"sentence_ends": np.zeros((1, 5), np.int32)}, "sentence_ends has a number for each of 8 tokens"),
        ({"sampling": np.ones((1, 5), np.float32)}, "sampling has 2 numbers and 80 draws"),
        ({"num_beams": np.zeros((1, 9), np.uint8)}, "num_beams must lie between 1 and 8, not 9"),
        ({"max_length": np.zeros((1, 254), np.uint8)}, "max_length must lie between 4 and 256, not 257"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, Any], words: str) -> None:
    given = {**tensors([0, 5, 2]), **changes}
    with pytest.raises(ValueError, match=words):
        articles({name: array for name, array in given.items() if array is not None})


def test_summaries_are_padded_to_the_width() -> None:
    found = sequences([np.array([2, 0, 2]), np.array([2, 0, 5, 6, 2])], 6, 1)
    assert found.dtype == np.int32
    assert found.tolist() == [[2, 0, 2, 1, 1, 1], [2, 0, 5, 6, 2, 1]]
