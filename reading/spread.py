"""Which parts of a long article a classifier reads: all, where its windows suffice, else windows all over it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

if __package__:
    from .windows import cut, opens
else:  # a copy in the folder of one of Triton's backends
    from windows import cut, opens  # type: ignore[import-not-found, no-redef]

WINDOW = "infolens_window"
"""Where a checkpoint's ``config.json`` says how many tokens a window has; not there in one that reads at once."""

Integers = npt.NDArray[np.int32]


def spread(ends: Integers, *, capacity: int, most: int) -> list[tuple[int, int]]:
    """Choose the pieces of a text that are read, each in a window of its own.

    The first piece is the beginning, which has the title; the last one ends the text, or nearly so; the others lie
    evenly between. A piece begins with the sentence that is nearest to its place.

    Args:
        ends: For each token the index of the last token of its sentence, -1 where it belongs to none, (tokens,).
        capacity: The most tokens of a piece.
        most: The most pieces.

    Returns:
        The first token of each piece and the one past its last, in their order, none overlapping; what `windows.cut`
        returns where that leaves nothing out, and full windows where only these hold all of the text.

    Raises:
        ValueError: ``capacity`` or ``most`` is below 1.
    """
    whole = cut(ends, capacity=capacity, most=most)
    count = len(ends)
    if whole[-1][1] >= count or most == 1:
        return whole
    if count <= capacity * most:
        return [(start, min(start + capacity, count)) for start in range(0, count, capacity)]
    begins = np.flatnonzero(opens(ends))
    places = np.linspace(0, max(count - capacity, 0), most)[1:]
    starts = [0]
    for place in places.tolist():
        nearest = int(begins[np.abs(begins - place).argmin()]) if begins.size else round(place)
        # Far from every sentence's beginning, as in a text without full stops, a piece begins within one.
        start = nearest if abs(nearest - place) <= capacity / 2 else round(place)
        if start > starts[-1]:
            starts.append(start)
    return [(start, min(start + capacity, end)) for start, end in pairwise([*starts, count])]
