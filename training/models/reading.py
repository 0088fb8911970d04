"""Articles as rows of tokens with their sentences, as the server lays them out.

Sentences end at line breaks too; in the tokens these are blanks, as for the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reading.alignment import sentence_ends
from reading.windows import place
from reading.words import Vocabulary
from training.data.curriculum import collapse
from training.data.sentences import split_sentences


@dataclass(frozen=True, kw_only=True)
class ReadArticle:
    """What a model reads of an article."""

    text: str
    """The article on one line, which the places in characters belong to."""
    ids: NDArray[np.int32]
    """Its tokens with the special ones around them, cut where the model's room ends, (L,)."""
    ends: NDArray[np.int32]
    """For each the place of the last token of its sentence (see `reading.windows.place`), (L,)."""
    offsets: NDArray[np.int32]
    """For each its first character and the one past its last, (L, 2); 0 and 0 for a special one."""
    sentences: list[tuple[int, int]]
    """The sentences of the whole article, in characters; the first of them are those of ``ends``."""


def read_articles(tokenizer: Any, texts: Sequence[str], *, most: int) -> list[ReadArticle]:
    """Read articles.

    Args:
        tokenizer: Of `transformers`, with a backend of the package `tokenizers`. A special token that a text spells is
            text, as it is to the server.
        texts: The articles, cleaned, with their line breaks.
        most: The most tokens that are read of one, special ones included.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    sentences = [[collapse(sentence) for sentence in split_sentences(text)] for text in texts]
    before, backend.encode_special_tokens = backend.encode_special_tokens, True
    try:
        encodings = backend.encode_batch([" ".join(one) for one in sentences])
    finally:
        backend.encode_special_tokens = before
    return [_read(encoding, one, most) for encoding, one in zip(encodings, sentences, strict=True)]


def _read(encoding: Any, sentences: Sequence[str], most: int) -> ReadArticle:
    own = np.flatnonzero(np.asarray(encoding.special_tokens_mask) == 0)
    first, past = (int(own[0]), int(own[-1]) + 1) if own.size else (1, 1)
    ids, offsets = np.asarray(encoding.ids, np.int32), np.asarray(encoding.offsets, np.int32).reshape(-1, 2)
    starts = np.cumsum([0, *(len(sentence) + 1 for sentence in sentences)]).tolist()
    spans = [(start, start + len(sentence)) for start, sentence in zip(starts, sentences, strict=False)]
    ends, spans = sentence_ends(offsets[first:past], spans)
    read = min(past - first, most - (len(ids) - (past - first)))
    kept = [*range(first + read), *range(past, len(ids))]
    return ReadArticle(
        text=" ".join(sentences),
        ids=ids[kept],
        ends=place(ends, [(0, read)], length=len(kept), window=len(kept), before=first),
        offsets=offsets[kept],
        sentences=spans,
    )


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """The tokens of a tokenizer as parts of words.

    Raises:
        ValueError: It marks neither where words begin nor where they go on.
    """
    return Vocabulary([token or "" for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))])
