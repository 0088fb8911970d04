"""A classifier's answers to whole articles, read as they are served: at once, or in windows spread over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reading.alignment import sentence_ends
from reading.sentences import split
from reading.spread import spread

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
    around = special_tokens(tokenizer)
    windows = [windows_of(tokenizer, text, capacity=window - around, most=tokens // window) for text in texts]
    answers = predict(model, tokenizer, [one for mine in windows for one in mine], tokens=window, batch=batch)
    result = np.zeros((len(texts), answers.shape[1]), np.float32)
    start = 0
    for row, mine in enumerate(windows):
        weights = np.array([len(one) + around for one in mine], np.float64)
        logs = np.log(np.maximum(answers[start : start + len(mine)].astype(np.float64), np.finfo(np.float32).tiny))
        mean = np.exp((logs * weights[:, None]).sum(0) / weights.sum())
        result[row] = mean / mean.sum()
        start += len(mine)
    return result


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
