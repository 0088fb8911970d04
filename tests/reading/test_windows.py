"""Tokens and sentences, and their layout in windows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infolens.contract import NEVER_ENDS
from reading import windows
from reading.alignment import sentence_ends


def offsets(*tokens: tuple[int, int]) -> np.ndarray:
    return np.array(tokens, np.int32).reshape(-1, 2)


def test_each_token_has_the_last_token_of_its_sentence() -> None:
    # "  Go on.\n\nStop. "
    tokens = offsets((0, 4), (4, 7), (7, 8), (8, 10), (10, 14), (14, 15), (15, 16))
    ends, sentences = sentence_ends(tokens, [(2, 8), (10, 15)])
    assert ends.tolist() == [2, 2, 2, -1, 5, 5, -1]
    assert sentences == [(2, 8), (10, 15)]


def test_blanks_before_a_token_are_not_its_sentence() -> None:
    ends, _ = sentence_ends(offsets((0, 2), (2, 3), (3, 8), (8, 9)), [(0, 3), (4, 9)])
    assert ends.tolist() == [1, 1, 3, 3]


def test_a_bound_inside_a_token_is_dropped() -> None:
    ends, sentences = sentence_ends(offsets((0, 2), (2, 5), (5, 6), (6, 9)), [(0, 3), (4, 6), (7, 9)])
    assert ends.tolist() == [2, 2, 2, 3]
    assert sentences == [(0, 6), (7, 9)]


@pytest.mark.parametrize(
    ("tokens", "ends", "kept"),
    [
        ([(3, 6)], [0], [(0, 5)]),
        ([(0, 3)], [0], [(0, 5)]),
        ([(2, 3), (3, 5)], [1, 1], [(0, 5)]),
        ([(2, 3)], [-1], []),
        ([], [], []),
    ],
)
def test_a_sentence_without_a_token_belongs_to_its_neighbour(
    tokens: list[tuple[int, int]], ends: list[int], kept: list[tuple[int, int]]
) -> None:
    found, sentences = sentence_ends(offsets(*tokens), [(0, 2), (3, 5)])
    assert (found.tolist(), sentences) == (ends, kept)


def test_several_tokens_of_one_character_stay_together() -> None:
    ends, _ = sentence_ends(offsets((0, 1), (0, 1), (1, 2), (2, 4), (4, 5)), [(0, 2), (3, 5)])
    assert ends.tolist() == [2, 2, 2, 4, 4]


def of_lengths(*lengths: int) -> np.ndarray:
    """The ends of sentences of so many tokens; a token between two sentences where the number is negative."""
    ends: list[int] = []
    for length in lengths:
        ends += [-1] * -length if length < 0 else [len(ends) + length - 1] * length
    return np.array(ends, np.int32)


@pytest.mark.parametrize(
    ("lengths", "pieces"),
    [
        ((), [(0, 0)]),
        ((3,), [(0, 3)]),
        ((3, 3), [(0, 3), (3, 6)]),  # the second sentence would be cut
        ((5, 5), [(0, 5), (5, 10)]),
        ((2, 2, 1, 4), [(0, 5), (5, 9)]),
        ((7,), [(0, 5), (5, 7)]),  # longer than a piece
        ((3, 8), [(0, 5), (5, 10), (10, 11)]),  # it must be cut anyway
        ((3, -2, 3), [(0, 5), (5, 8)]),
        ((3, -1, 3), [(0, 4), (4, 7)]),
        ((3, 3, 3, 3, 3), [(0, 3), (3, 6), (6, 9), (9, 14)]),  # the last piece is filled
    ],
)
def test_pieces_end_between_sentences_where_they_can(lengths: tuple[int, ...], pieces: list[tuple[int, int]]) -> None:
    assert windows.cut(of_lengths(*lengths), capacity=5, most=4) == pieces


def test_texts_without_sentences_fill_their_pieces() -> None:
    assert windows.cut(np.full(12, -1, np.int32), capacity=5, most=2) == [(0, 5), (5, 10)]
    with pytest.raises(ValueError, match="at least 1 piece of at least 1 token, not 0 of 5"):
        windows.cut(of_lengths(3), capacity=5, most=0)


def test_places_are_those_of_the_row() -> None:
    ends = of_lengths(2, -1, 2)
    row = windows.place(ends, [(0, 3), (3, 5)], length=10, window=5, before=1)
    assert row.tolist() == [-1, 2, 2, -1, -1, -1, 7, 7, -1, -1]


def test_a_sentence_that_is_not_read_whole_never_ends_and_its_rest_is_none() -> None:
    cut = windows.place(of_lengths(2, 4), [(0, 4)], length=6, window=6, before=1)
    assert cut.tolist() == [-1, 2, 2, NEVER_ENDS, NEVER_ENDS, -1]
    parted = windows.place(of_lengths(5, 1), [(0, 3), (3, 6)], length=10, window=5, before=1)
    assert parted.tolist() == [-1, *[NEVER_ENDS] * 3, -1, -1, -1, -1, 8, -1]
    assert windows.NEVER_ENDS == NEVER_ENDS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-2, 9), max_size=12), st.integers(1, 6), st.integers(1, 5))
def test_the_runs_of_a_row_are_the_sentences_in_their_order(lengths: list[int], capacity: int, most: int) -> None:
    ends = of_lengths(*lengths)
    pieces = windows.cut(ends, capacity=capacity, most=most)
    assert pieces[0][0] == 0
    assert all(one[1] == other[0] for one, other in pairwise(pieces))
    assert all(0 <= end - start <= capacity for start, end in pieces)
    window = capacity + 2
    row = windows.place(ends, pieces, length=len(pieces) * window, window=window, before=1).tolist()
    starts = [i for i, end in enumerate(row) if end >= 0 and (i == 0 or row[i - 1] != end)]
    read = pieces[-1][1]
    begun = [i for i in range(read) if ends[i] >= 0 and (i == 0 or ends[i - 1] != ends[i])]
    assert len(starts) == len(begun)
    for place, token in zip(starts, begun, strict=True):
        if row[place] != NEVER_ENDS:
            assert row[place] - place == ends[token] - token
            assert {row[i] for i in range(place, row[place] + 1)} == {row[place]}


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Tokens that cover a text but for some blanks, and sentences with blanks between them."""
    places = st.lists(st.integers(0, 40), unique=True, max_size=20).map(sorted)
    cuts, bounds = draw(places), draw(places)
    tokens = [(one, other - draw(st.integers(0, 1))) for one, other in pairwise(cuts)]
    return tokens, [(one, other) for one, other in list(pairwise(bounds))[::2]]


@settings(max_examples=300, deadline=None)
@given(texts())
def test_runs_of_tokens_are_the_sentences_that_are_left(given: tuple[Any, Any]) -> None:
    tokens, sentences = given
    ends, kept = sentence_ends(offsets(*tokens), sentences)
    starts = [i for i, end in enumerate(ends) if end >= 0 and (i == 0 or ends[i - 1] != end)]
    assert len(starts) == len(kept)
    for start, (begin, end) in zip(starts, kept, strict=True):
        own = range(start, ends[start] + 1)
        assert {int(ends[i]) for i in own} == {int(ends[start])}
        inside = {i for i, (one, other) in enumerate(tokens) if one < end and other > begin}
        assert inside <= set(own)
    assert all(one[1] <= other[0] for one, other in pairwise(kept))
    assert {begin for begin, _ in kept} <= {begin for begin, _ in sentences}
