"""The kernel of ``Int8SlotStore``: what a slot keeps of an article that is shorter than its room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.graph.functions import function
from export.graph.step.functions import slot_store

from .test_kernels import Arrays, both, floats, fused, session

HEADS, SIZE, BEAMS = 3, 20, 4
STORED = ("keys", "key_scales", "values", "value_scales")
ATTEND = fused("Int8CrossAttention", ["query", *STORED, "bias"], ["context"], num_heads=HEADS)


def node(name: str, *inputs: str) -> Any:
    return fused(name, inputs, STORED, num_heads=HEADS)


def feeds_of(length: int, room: int, seen: int) -> Arrays:
    return {
        "both": floats(1, length, 2 * HEADS * SIZE),
        "room": np.array([room]),
        "query": floats(BEAMS, HEADS * SIZE),
        "bias": np.where(np.arange(room) < seen, 0, -1e30).astype(np.float32)[None, None, None],
    }


@pytest.mark.parametrize(("length", "room", "seen"), [(64, 64, 60), (64, 192, 64), (30, 100, 1), (17, 512, 17)])
def test_an_article_is_found_in_a_larger_room(library: Path, length: int, room: int, seen: int) -> None:
    feeds = feeds_of(length, room, seen)
    functions = [slot_store(HEADS), function("Int8CrossAttention", heads=HEADS, head_size=SIZE)]
    nodes = [node("Int8SlotStore", "both", "room"), ATTEND]
    native, standard = both(library, nodes, feeds, ["context"], functions)
    np.testing.assert_allclose(native[0], standard[0], atol=0.05)

    own = {"both": feeds["both"], "query": feeds["query"], "bias": feeds["bias"][..., :length]}
    alone = session([node("Int8CrossStore", "both"), ATTEND], own, ["context"], [], library)()
    np.testing.assert_array_equal(native[0], alone[0])


def test_padding_beyond_the_room_is_left_out(library: Path) -> None:
    """An encoder reads a multiple of some number of tokens, which may be more than there is room for."""
    feeds = feeds_of(64, 50, 50)
    functions = [slot_store(HEADS), function("Int8CrossAttention", heads=HEADS, head_size=SIZE)]
    nodes = [node("Int8SlotStore", "both", "room"), ATTEND]
    native, standard = both(library, nodes, feeds, ["context"], functions)
    np.testing.assert_allclose(native[0], standard[0], atol=0.05)
    whole = session(nodes, feeds | {"both": feeds["both"][:, :50]}, ["context"], [], library)()
    np.testing.assert_array_equal(native[0], whole[0])


def test_a_room_without_positions_is_refused(library: Path) -> None:
    feeds = feeds_of(16, 16, 16) | {"room": np.array([0])}
    run = session([node("Int8SlotStore", "both", "room"), ATTEND], feeds, ["context"], [], library)
    with pytest.raises(Exception, match="room for a position or more"):
        run()
