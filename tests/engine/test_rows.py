"""Rows of a batch as articles; what they ask for reads the same whoever sends them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from engine.article import Article, check
from engine.rows import articles_of
from engine.settings import Bucket, Rules, Settings

SETTINGS = Settings(max_length=6)
BUCKET = Bucket(slots=1, beams=2, source_length=8, target_length=8)
VOCABULARY = 8
RULES = Rules(start_token=2, end_tokens=(2,), pad_token=1)
IDS = np.array([[0, 5, 6, 2, 1, 1], [0, 7, 2, 1, 1, 1]], np.int32)
MASK = (IDS != 1).astype(np.int32)
ONE = np.zeros((2, 1), np.int32)
NONE = np.zeros((2, 1), np.float32)


def test_rows_become_as_long_as_their_tokens() -> None:
    first, second = articles_of(IDS, MASK, ONE, NONE, SETTINGS)
    assert (first.ids.tolist(), second.ids.tolist()) == ([0, 5, 6, 2], [0, 7, 2])
    assert first.plain
    assert second.plain
    for article in (first, second):
        check(article, BUCKET, RULES, VOCABULARY)


def test_sentence_ends_and_draws_are_those_of_the_row() -> None:
    ends = np.arange(12, dtype=np.int32).reshape(2, 6)
    sampling = np.linspace(0.1, 0.9, 16, dtype=np.float32).reshape(2, 8)
    _, second = articles_of(IDS, MASK, ends, sampling, SETTINGS)
    assert second.sentence_ends is not None
    assert second.sentence_ends.tolist() == [6, 7, 8]
    assert second.sampling is not None
    assert (second.sampling.temperature, second.sampling.top_p) == (float(sampling[1, 0]), float(sampling[1, 1]))
    assert second.sampling.draws.tolist() == sampling[1, 2:].tolist()
    check(second, BUCKET, RULES, VOCABULARY)


def test_a_hole_in_a_row_is_padding_between_windows() -> None:
    mask = MASK.copy()
    mask[0, 1] = 0
    first, second = articles_of(IDS, mask, ONE, NONE, SETTINGS)
    assert first.mask is not None
    assert first.mask.tolist() == [1, 0, 1, 1]
    assert second.mask is None


def test_a_mask_is_as_long_as_its_article() -> None:
    article = Article(ids=IDS[0], settings=SETTINGS, mask=MASK[0])
    check(article, BUCKET, RULES, VOCABULARY)
    with pytest.raises(ValueError, match=r"mask has a number for each of 6 tokens, not the shape \(5,\)"):
        check(dataclasses.replace(article, mask=MASK[0, :5]), BUCKET, RULES, VOCABULARY)


@pytest.mark.parametrize("temperature", [-0.5, float("nan")])
def test_a_temperature_that_is_none_is_no_search(temperature: float) -> None:
    sampling = np.full((2, 8), 0.5, np.float32)
    sampling[:, 0] = [0, temperature]
    first, second = articles_of(IDS, MASK, ONE, sampling, SETTINGS)
    check(first, BUCKET, RULES, VOCABULARY)
    assert first.plain
    with pytest.raises(ValueError, match="temperature is 1e-20 to"):
        check(second, BUCKET, RULES, VOCABULARY)
