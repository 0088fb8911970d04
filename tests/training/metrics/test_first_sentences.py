"""The baseline of an article's first whole sentences, at as many words as the summaries have on average."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from training.metrics.first_sentences import gains, leads, statistics
from training.metrics.summarization import METRICS

_ARTICLE = "Rain fell in Kent today. The river rose by two metres overnight. Nobody was hurt."


def _scores(words: list[int]) -> pd.DataFrame:
    """Articles whose leads of k sentences have 10 k words and a score of 10 k, and summaries of score 30."""
    row = {f"first_{k}_{name}": 10.0 * k for k in range(1, 6) for name in ("words", *METRICS)}
    return pd.DataFrame([{**row, "words": count, **dict.fromkeys(METRICS, 30.0)} for count in words])


def test_each_lead_is_scored_with_its_words() -> None:
    heard: list[str] = []

    def score(text: str) -> dict[str, float]:
        heard.append(text)
        return dict.fromkeys(METRICS, float(len(heard)))

    row = leads(_ARTICLE, score)
    assert heard[:3] == [
        "Rain fell in Kent today.",
        "Rain fell in Kent today.\nThe river rose by two metres overnight.",
        "Rain fell in Kent today.\nThe river rose by two metres overnight.\nNobody was hurt.",
    ]
    assert [row[f"first_{k}_words"] for k in range(1, 6)] == [5, 12, 15, 15, 15]
    assert row["first_2_rougeLsum"] == 2


@pytest.mark.parametrize(("words", "expected"), [([10, 20], 15.0), ([24, 24], 24.0), ([2, 4], 10.0), ([90, 90], 50.0)])
def test_the_curve_is_interpolated_to_the_mean_words_and_held_at_its_ends(words: list[int], expected: float) -> None:
    scores = _scores(words)
    once = np.ones((1, 2), np.float32)
    assert statistics(scores)["rouge1"](once)[0] == pytest.approx(expected)
    assert gains(scores)["rouge1"](once)[0] == pytest.approx(30.0 - expected)


def test_a_draw_is_held_to_the_words_of_its_own_articles() -> None:
    scores = _scores([10, 30])
    draws = np.array([[2, 0], [0, 2], [1, 1]], np.float32)
    np.testing.assert_allclose(statistics(scores)["rouge2"](draws), [10.0, 30.0, 20.0])
