"""Summaries of the sentences that the model itself has judged: of each word, whether the summary has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

if __package__:
    from reading.choice import Prediction, choose
    from reading.quotable import dateline
    from reading.words import Vocabulary

    from .quotes import NoQuoteError, Parsed, Source
else:  # Triton imports its backend as the module "model", with its folder on the path
    from choice import Prediction, choose  # type: ignore[import-not-found, no-redef]
    from quotable import dateline  # type: ignore[import-not-found, no-redef]
    from quotes import NoQuoteError, Parsed, Source  # type: ignore[import-not-found, no-redef]
    from words import Vocabulary  # type: ignore[import-not-found, no-redef]

Integers = npt.NDArray[np.integer[Any]]


class Chooser:
    """Chooses sentences by what a model says of their words.

    Args:
        vocabulary: The ids of the tokenizer's tokens, by their strings.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        tokens = [""] * (1 + max(vocabulary.values(), default=-1))
        for token, number in vocabulary.items():
            tokens[number] = token
        self._vocabulary = Vocabulary(tokens)

    def choose(self, row: Integers, ids: Integers, ends: Integers, source: Source) -> tuple[Parsed, Source]:
        """Choose the sentences of a summary.

        Args:
            row: What the model says: see `Prediction.unpack`, (1 + 2 * length,).
            ids: The tokens of the article, (length,).
            ends: For each the place of the last token of its sentence, (length,).
            source: The article, with the room for its summary.

        Returns:
            The sentences, and the article with these sentences beginning after their datelines. There is always one,
            if the article has any.

        Raises:
            NoQuoteError: The row is no such thing, or not that of this article.
        """
        try:
            prediction = Prediction.unpack(row, len(ids))
            words = self._vocabulary.words(ids, ends)
            texts = [source.text[start:end] for start, end in source.sentences]
            chosen = choose(prediction, words, texts, room=source.room, least=source.least)
        except (ValueError, IndexError) as error:
            raise NoQuoteError(f"what the model says of the article's words cannot be read: {error}") from error
        spans = list(source.sentences)
        if not chosen.indices:  # none was read, of an article that begins with very many signs
            return Parsed(indices=(0,) if spans else (), cut=max(source.room, 1) if spans else 0), source
        for index in chosen.indices:
            start, end = spans[index]
            spans[index] = (start + dateline(texts[index]), end)
        cut = 0 if chosen.whole else max(source.room, 1)
        return Parsed(indices=chosen.indices, cut=cut), replace(source, sentences=tuple(spans))
