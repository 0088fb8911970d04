"""In which sizes the executor computes: a GPU has a CUDA graph for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_SHORTEST: Final = 128
"""Tokens of the shortest article that a GPU reads, with padding; the others have twice as many, or twice again."""
TOGETHER: Final = 4
"""Articles of one length that are read together at most. On an H100 8 take half as long as 8 times one, and all that
run wait for them."""
_CHOOSING_EVERY: Final = 3
"""A step that quotes or draws comes in fewer sizes."""
_FINE: Final = 8
"""Beyond so many slots a step comes in multiples of as many."""


def powers_of_two(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and ``most``."""
    return (*(1 << i for i in range((most - 1).bit_length())), most)


def slot_sizes(slots: int) -> tuple[int, ...]:
    """In how many slots a step comes: powers of two, then multiples of `_FINE`, and all."""
    return (*(size for size in powers_of_two(_FINE) if size < slots), *range(2 * _FINE, slots, _FINE), slots)


def choosing_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """In which of the sizes a step comes that quotes or draws; the last is always one."""
    return tuple(sorted({*sizes[::_CHOOSING_EVERY], sizes[-1]}))


def least(sizes: Sequence[int], count: int) -> int:
    """The least of growing sizes that is enough.

    Raises:
        ValueError: None is.
    """
    for size in sizes:
        if size >= count:
            return size
    raise ValueError(f"the greatest size is {sizes[-1]}, and {count} are asked for")


def groups(count: int) -> list[int]:
    """So many articles as groups that are read together: powers of two, at most `TOGETHER`, the largest first."""
    whole, rest = divmod(count, TOGETHER)
    return [TOGETHER] * whole + [1 << i for i in reversed(range(rest.bit_length())) if rest >> i & 1]


def room_of(source_length: int, window: int) -> int:
    """Tokens of the longest article, up to the end of its last window; ``window`` 0 for an encoder without any."""
    return -(-source_length // window) * window if window and source_length > window else source_length


def lengths_of(room: int, window: int) -> tuple[int, ...]:
    """As how many tokens a GPU reads articles; ``room`` is that of the longest one."""
    once = min(window, room) if window else room
    short = [_SHORTEST << i for i in range(32) if _SHORTEST << i < once]
    return (*short, *range(once, room + 1, once))
