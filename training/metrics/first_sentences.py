"""What an article's first whole sentences are worth, at as many words as the summaries have on average.

A lead of whole sentences is the baseline of news summaries (lead-3: See et al., 2017). Longer summaries score otherwise
than shorter ones, so the figures of one, two and more sentences are interpolated to the words of the summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from training.metrics.intervals import Floats, Statistic, difference, mean
from training.metrics.summarization import METRICS, lead_k

NAME: Final = "the article's first whole sentences, at as many words on average"
_MOST: Final = 5
"""Sentences of the longest lead; longer summaries are held to it."""
_WORDS: Final = "words"


def _column(k: int, name: str) -> str:
    return f"first_{k}_{name}"


def leads(article: str, score: Callable[[str], Mapping[str, float]]) -> dict[str, float]:
    """The scores and the words of an article's first one, two... sentences, as columns of a row.

    Args:
        article: The article.
        score: Says the `METRICS` of a text.
    """
    found: dict[str, float] = {}
    for k in range(1, _MOST + 1):
        text = lead_k(article, k)
        found |= {_column(k, name): value for name, value in score(text).items()}
        found[_column(k, _WORDS)] = len(text.split())
    return found


def statistics(scores: pd.DataFrame) -> dict[str, Statistic]:
    """The lead's `METRICS`, interpolated to the mean number of words of the summaries, and those words."""
    return {_WORDS: mean(scores[_WORDS])} | {name: _at_same_words(scores, name) for name in METRICS}


def gains(scores: pd.DataFrame) -> dict[str, Statistic]:
    """By how much the summaries are above that."""
    return {name: difference(mean(scores[name]), _at_same_words(scores, name)) for name in METRICS}


def _at_same_words(scores: pd.DataFrame, name: str) -> Statistic:
    served = mean(scores[_WORDS])
    steps = range(1, _MOST + 1)
    words = [mean(scores[_column(k, _WORDS)]) for k in steps]
    values = [mean(scores[_column(k, name)]) for k in steps]

    def statistic(weights: Floats) -> Floats:
        at, lengths, curve = (np.stack([one(weights) for one in all_], axis=-1) for all_ in ([served], words, values))
        pairs: Any = zip(at[:, 0], lengths, curve, strict=True)
        return np.array([np.interp(wanted, where, what) for wanted, where, what in pairs])

    return statistic
