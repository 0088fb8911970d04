"""Which rows are looked at together: by source, label, length, how much was read, and columns that a user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LENGTHS: Final = (0, 64, 128, 256, 512, 1024)
"""Tokens at which the groups of article lengths begin."""
SMALLEST: Final = 10
"""Groups of fewer rows are left out."""
_MOST: Final = 40
"""Values of a column that are shown at most, the most frequent ones."""


def groups_of(scores: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """The groups of a table of scores.

    Args:
        scores: With ``tokens`` and ``truncated_tokens``, and perhaps ``source`` and ``label``.
        by: More columns.

    Yields:
        What they are grouped by, the name of the group, and which rows belong to it.
    """
    for name in ("source", "label", *by):
        if name in scores:
            values = scores[name].astype(str)
            for value in sorted(values.value_counts().index[:_MOST]):
                if value:
                    yield from _large(name, value, (values == value).to_numpy())
    tokens = scores["tokens"].to_numpy()
    for low, high in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        inside = (tokens >= low) & (tokens < high if high is not None else True)
        yield from _large("length", f"{low} to {high - 1} tokens" if high else f"{low} tokens and more", inside)
    cut = scores["truncated_tokens"].to_numpy() > 0
    yield from _large("read", "the whole article", ~cut)
    yield from _large("read", "its beginning only", cut)


def _large(by: str, name: str, rows: NDArray[np.bool_]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    if rows.sum() >= SMALLEST:
        yield by, name, rows
