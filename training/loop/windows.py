"""A classifier's answers to whole articles, read as they are served: at once, or in windows spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reading.alignment import sentence_ends
from reading.sentences import split
from reading.spread import spread
from training.progress.bars import track

from .batches import Ids, encode, special_tokens
from .prediction import predict


def predict_texts(
    model: Any, tokenizer: Any, texts: Sequence[str], *, tokens: int, window: int = 0, batch: int = 64
) -> NDArray[np.float32]:
    """Probabilities float32 (articles, classes).

    Args:
        model: A classifier of `transformers`.
        tokenizer: Its tokenizer.
        texts: The articles.
        tokens: How much of an article is read, special tokens included.
        window: Tokens of a window, special ones included: the answer is the geometric mean of those to the windows, in
            which each weighs as many tokens as it has, as in the graph that serves. 0 reads the beginning at once.
        batch: Inputs at once.
    """
    if not window:
        return predict(model, tokenizer, encode(tokenizer, texts), tokens=tokens, batch=batch)
    windows = Windows(tokenizer, texts, tokens=tokens, window=window)
    answers = predict(model, tokenizer, windows.items, tokens=window, batch=batch)
    mean = np.exp(windows.mean(np.log(np.maximum(answers.astype(np.float64), np.finfo(np.float32).tiny))))
    result: NDArray[np.float32] = (mean / mean.sum(1, keepdims=True)).astype(np.float32)
    return result


class Windows:
    """The windows of articles, one after the other, and means over those of each article.

    Args:
        tokenizer: Of the model that reads them.
        texts: The articles.
        tokens: How much of an article is read, special tokens included.
        window: Tokens of a window, special ones included.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], *, tokens: int, window: int) -> None:
        around = special_tokens(tokenizer)
        found = [
            windows_of(tokenizer, text, capacity=window - around, most=max(1, tokens // window))
            for text in track(texts, "reading tokens")
        ]
        self.items: list[Ids] = [one for mine in found for one in mine]
        """Token ids of the windows, without special ones."""
        self._starts = np.cumsum([0, *map(len, found)])[:-1]
        self._weights = np.array([len(one) + around for one in self.items], np.float64)[:, None]

    def mean(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Means float64 (articles, K) of ``values`` (windows, K); each window weighs as many tokens as it has."""
        if not len(self._starts):
            return np.zeros((0, values.shape[1]))
        weights = np.add.reduceat(self._weights, self._starts)
        sums: NDArray[np.float64] = np.add.reduceat(values * self._weights, self._starts)
        return sums / weights


def windows_of(tokenizer: Any, text: str, *, capacity: int, most: int) -> list[Ids]:
    """The tokens of an article's windows, without special ones."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    before, backend.encode_special_tokens = backend.encode_special_tokens, True
    try:
        encoding = backend.encode(text, add_special_tokens=False)
    finally:
        backend.encode_special_tokens = before
    ids = np.asarray(encoding.ids, dtype=np.int32)
    offsets = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    ends, _ = sentence_ends(offsets, split(text))
    return [ids[start:end] for start, end in spread(ends, capacity=capacity, most=most)]
