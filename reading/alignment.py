"""Which tokens the sentences of a text are, from the places of the tokens in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int32]


def sentence_ends(offsets: Integers, sentences: Sequence[tuple[int, int]]) -> tuple[Integers, list[tuple[int, int]]]:
    """Find the last token of the sentence of each token.

    A bound between two sentences that falls inside a token is dropped, and the two are one; so is one that leaves a
    sentence without a token.

    Args:
        offsets: The first character of each token of the whole text and the one past its last, (tokens, 2), in order.
        sentences: The sentences, as `sentences.split` finds them.

    Returns:
        For each token the index of the last token of its sentence, -1 where it belongs to none; and the sentences that
        are left. Each of these has tokens, which follow one another; so the k-th run of equal numbers that are not -1
        is the k-th sentence.
    """
    found = np.full(len(offsets), -1, np.int32)
    kept: list[tuple[int, int]] = []
    begins, ends = np.array(sentences, np.int64).reshape(-1, 2).T
    firsts = np.searchsorted(offsets[:, 1], begins, "right")
    lasts = np.searchsorted(offsets[:, 0], ends, "left") - 1
    opening, closing = 0, -1
    waiting: list[tuple[int, int]] = []  # sentences at the beginning that have no token
    for (begin, end), first, last in zip(sentences, firsts.tolist(), lasts.tolist(), strict=True):
        if last < first and not kept:
            waiting.append((begin, first))
        elif last < first or (kept and first <= closing):
            kept[-1], closing = (kept[-1][0], end), max(closing, last)
        else:
            start, opening = (*waiting, (begin, first))[0]
            kept.append((start, end))
            closing, waiting = last, []
        found[opening : closing + 1] = closing
    return found, kept
