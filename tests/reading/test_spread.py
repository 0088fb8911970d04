"""What a classifier reads of an article that is too long for it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from reading.spread import spread
from reading.windows import cut


def ends_of(*sizes: int) -> npt.NDArray[np.int32]:
    """Sentences of so many tokens; a negative size stands for tokens of none."""
    parts, place = [np.empty(0, np.int32)], 0
    for size in sizes:
        place += abs(size)
        parts.append(np.full(abs(size), -1 if size < 0 else place - 1, np.int32))
    return np.concatenate(parts)


@pytest.mark.parametrize("sizes", [(), (5,), (3, 3, 4), (-2, 8), (-30,), (10, 10, 10), (25, 5)])
def test_what_fits_is_read_whole_and_in_order(sizes: tuple[int, ...]) -> None:
    ends = ends_of(*sizes)
    assert spread(ends, capacity=10, most=3) == cut(ends, capacity=10, most=3)
    assert spread(ends, capacity=10, most=3)[-1][1] == len(ends)


def test_what_fits_only_into_full_windows_is_read_whole_too() -> None:
    assert spread(ends_of(6, 8, 8, 7), capacity=10, most=3) == [(0, 10), (10, 20), (20, 29)]


def test_windows_lie_evenly_from_the_beginning_to_the_end_and_open_with_sentences() -> None:
    assert spread(ends_of(*[10] * 40), capacity=40, most=4) == [(0, 40), (120, 160), (240, 280), (360, 400)]


def test_a_piece_opens_with_the_nearest_sentence() -> None:
    pieces = spread(ends_of(7, 93, 30, 50, 20), capacity=50, most=3)
    assert pieces == [(0, 50), (100, 130), (130, 180)]


def test_pieces_ascend_do_not_overlap_and_fill_their_windows() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        sizes = (rng.integers(1, 30, rng.integers(1, 80)) * rng.choice([1, 1, 1, -1])).tolist()
        ends, most = ends_of(*sizes), int(rng.integers(1, 6))
        pieces = spread(ends, capacity=62, most=most)
        assert 1 <= len(pieces) <= most
        assert all(0 < end - start <= 62 for start, end in pieces)
        assert pieces[0][0] == 0
        assert pieces == sorted(pieces)
        assert all(left[1] <= right[0] for left, right in pairwise(pieces))
        if most > 1:
            assert len(ends) - pieces[-1][1] <= 31  # half a window at most is left at the end


@pytest.mark.parametrize("ends", [ends_of(1000), ends_of(-1000), ends_of(300, 2, 698)])
def test_texts_without_sentences_are_read_all_over(ends: npt.NDArray[np.int32]) -> None:
    pieces = spread(ends, capacity=100, most=4)
    assert [start for start, _ in pieces] == [0, 300, 600, 900]


@pytest.mark.parametrize(("capacity", "most"), [(0, 2), (2, 0)])
def test_what_cannot_be_is_refused(capacity: int, most: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        spread(ends_of(5, 5), capacity=capacity, most=most)
