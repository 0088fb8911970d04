"""What no article may have: it would fail in a step, and take the articles beside it with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.article import Article, Sampling, check
from engine.settings import Bucket, Rules, Settings

WORDS, STEPS = 50, 6
BUCKET = Bucket(slots=1, beams=2, source_length=8, target_length=8)
RULES = Rules(start_token=2, end_tokens=(2,), pad_token=1)
DRAWN = Sampling(temperature=0.8, top_p=0.9, draws=np.linspace(0, 1, STEPS, dtype=np.float32))
NAN, INF = float("nan"), float("inf")


def article(tokens: Sequence[int] = (0, 5, 2), sampling: Sampling | None = None) -> Article:
    return Article(ids=np.array(tokens, np.int32), settings=Settings(max_length=STEPS), sampling=sampling)


@pytest.mark.parametrize("one", [article((0, WORDS - 1)), article(sampling=DRAWN)])
def test_what_is_in_its_range_is_let_through(one: Article) -> None:
    check(one, BUCKET, RULES, WORDS)


@pytest.mark.parametrize(("tokens", "words"), [((5, WORDS), "5 to 50"), ((-1, 5), "-1 to 5"), ((2**31 - 1,), "2147")])
def test_a_token_is_one_that_the_model_knows(tokens: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=f"a token is 0 to 49 in this model, not {words}"):
        check(article(tokens), BUCKET, RULES, WORDS)


@pytest.mark.parametrize("temperature", [-1.0, 0.0, 1e-30, 1e30, INF, NAN])
def test_a_temperature_divides(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"temperature is 1e-20 to 1e\+06 where a summary is drawn, not"):
        check(article(sampling=replace(DRAWN, temperature=temperature)), BUCKET, RULES, WORDS)


@pytest.mark.parametrize("top_p", [-1.0, 0.0, 1.5, INF, NAN])
def test_a_nucleus_has_a_word(top_p: float) -> None:
    with pytest.raises(ValueError, match="top_p is greater than 0 and at most 1, not"):
        check(article(sampling=replace(DRAWN, top_p=top_p)), BUCKET, RULES, WORDS)


@pytest.mark.parametrize("number", [-0.5, 7, INF, NAN])
def test_a_draw_is_a_probability(number: float) -> None:
    draws = DRAWN.draws.copy()
    draws[3] = number
    with pytest.raises(ValueError, match="a summary is drawn by numbers from 0 to 1, not"):
        check(article(sampling=replace(DRAWN, draws=draws)), BUCKET, RULES, WORDS)
