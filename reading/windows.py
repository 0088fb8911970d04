"""A long article in windows: pieces of equal size, each of which an encoder reads by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int32]

NEVER_ENDS = 2**30
"""Stands for the end of a sentence that is not read to its end, or not in one piece."""


def cut(ends: Integers, *, capacity: int, most: int) -> list[tuple[int, int]]:
    """Cut the tokens of a text into pieces, between sentences where that is possible.

    A sentence is cut only where it is longer than a piece, and at the end of the last piece. Each piece begins where
    the one before it ends.

    Args:
        ends: For each token the index of the last token of its sentence, -1 where it belongs to none.
        capacity: The most tokens of a piece.
        most: The most pieces; what does not fit into them is left out.

    Returns:
        The first token of each piece and the one past its last; one empty piece for no tokens.

    Raises:
        ValueError: ``capacity`` or ``most`` is below 1.
    """
    if capacity < 1 or most < 1:
        raise ValueError(f"there is at least 1 piece of at least 1 token, not {most} of {capacity}")
    pieces = [(0, min(capacity, len(ends)))]
    places = np.flatnonzero(opens(ends))
    while pieces[-1][1] < len(ends) and len(pieces) < most:
        start, end = pieces[-1]
        opening = int(places[max(int(np.searchsorted(places, end, "right")) - 1, 0)]) if places.size else 0
        if start < opening < end and ends[opening] >= end and ends[opening] - opening < capacity:
            pieces[-1] = (start, opening)
        begin = pieces[-1][1]
        pieces.append((begin, min(begin + capacity, len(ends))))
    return pieces


def place(ends: Integers, pieces: Sequence[tuple[int, int]], *, length: int, window: int, before: int) -> Integers:
    """Say of each place of a row where its sentence ends in the row.

    Args:
        ends: As in `cut`.
        pieces: The pieces of the text that the row holds.
        length: The places of the row.
        window: The places from the beginning of one piece to that of the next.
        before: The special tokens before each piece.

    Returns:
        (length,): the place of the last token of the sentence; `NEVER_ENDS` where the piece ends before the sentence;
        -1 in the rest of such a sentence in the next piece, and where there is no sentence. Runs of equal numbers that
        are not -1 are the sentences of the text in their order, up to the last that was begun.
    """
    row = np.full(length, -1, np.int32)
    opening = np.maximum.accumulate(np.where(opens(ends), np.arange(len(ends)), 0))
    for number, (start, end) in enumerate(pieces):
        shift = number * window + before - start
        mine = ends[start:end]
        found = np.where(mine < end, mine + shift, NEVER_ENDS)
        row[start + shift : end + shift] = np.where((mine < 0) | (opening[start:end] < start), -1, found)
    return row


def opens(ends: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Where a sentence begins, BOOL of the shape of ``ends``."""
    previous = np.concatenate((np.full(min(len(ends), 1), -1, ends.dtype), ends[:-1]))
    found: npt.NDArray[np.bool_] = (ends >= 0) & (ends != previous)
    return found
