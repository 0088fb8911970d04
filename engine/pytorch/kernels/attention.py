"""Attention of the few beams of an article to many keys, which are shared among several programs.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``N`` places of keys, ``H`` heads of size ``D``, width ``W = H D``.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl

from .launching import let_next_begin, on, wait_for_last
from .merging import Merging, fold, merge, rows_of, splits_of

_LOG2E: Final = tl.constexpr(1.4426950408889634)


@triton.jit(do_not_specialize=["beams", "splits", "nodes"])
def _tree(
    qkv, keys, values, out, visible, length, done, partial, arrived, beams, nodes, width, splits, scale,
    HEAD: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
    EXACT: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    split, h, slot = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    beam, size = tl.arange(0, ROWS), tl.arange(0, HEAD)
    row, column = slot * beams, h * HEAD
    here = (beam < beams)[:, None]
    # Earlier steps have written all of this: the first block is read while the kernel before still runs.
    over = tl.load(done + slot) != 0
    first = ((tl.load(length + slot) - 1) * beams).to(tl.int32)
    blocks = tl.cdiv(first, BLOCK)
    used = tl.minimum(tl.maximum(blocks, 1), splits)
    cache = (slot * tl.num_programs(1) + h).to(tl.int64) * nodes * HEAD
    node = split * BLOCK + tl.arange(0, BLOCK)
    there = (node < first) & (over == 0)
    k = tl.load(keys + cache + node[:, None] * HEAD + size[None, :], mask=there[:, None], other=0.0)
    v = tl.load(values + cache + node[:, None] * HEAD + size[None, :], mask=there[:, None], other=0.0)
    sees = visible + (row + beam)[:, None] * nodes
    seen = tl.load(sees + node[None, :], mask=here & there[None, :], other=0) != 0
    wait_for_last(OVERLAP)
    if over:
        if split == 0:
            nothing = tl.zeros([ROWS, HEAD], out.dtype.element_ty)
            tl.store(out + (row + beam)[:, None] * width + column + size[None, :], nothing, mask=here)
    elif split < used:
        came = (row + beam)[:, None] * 3 * width + column + size[None, :]
        query = tl.load(qkv + came, mask=here, other=0.0)
        query = (query.to(tl.float32) * (scale * _LOG2E)).to(query.dtype)
        # Of the newest nodes each beam sees its own one alone, which the first program begins with and writes.
        begins = here & (split == 0)
        new_keys = tl.load(qkv + came + width, mask=begins, other=0.0)
        new_values = tl.load(qkv + came + 2 * width, mask=begins, other=0.0)
        written = cache + (first + beam)[:, None] * HEAD + size[None, :]
        tl.store(keys + written, new_keys, mask=begins)
        tl.store(values + written, new_values, mask=begins)
        own = tl.sum(query.to(tl.float32) * new_keys.to(tl.float32), axis=1)
        most = tl.where(split == 0, own, -float("inf"))
        total = tl.where(split == 0, 1.0, 0.0) + tl.zeros([ROWS], tl.float32)
        context = new_values.to(tl.float32)
        most, total, context = fold(query, k, v, seen, most, total, context, EXACT)
        for block in range(split + splits, blocks, splits):
            node = block * BLOCK + tl.arange(0, BLOCK)
            there = node < first
            at = cache + node[:, None] * HEAD + size[None, :]
            k = tl.load(keys + at, mask=there[:, None], other=0.0)
            v = tl.load(values + at, mask=there[:, None], other=0.0)
            seen = tl.load(sees + node[None, :], mask=here & there[None, :], other=0) != 0
            most, total, context = fold(query, k, v, seen, most, total, context, EXACT)
        merge(
            out, partial, arrived, most, total, context, row, beams, used, splits, width, column, HEAD, ROWS
        )  # fmt: skip


@triton.jit(do_not_specialize=["beams", "splits", "source"])
def _cross(
    queries, keys, values, out, bias, extents, done, partial, arrived, beams, source, width, splits, scale,
    HEAD: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
    EXACT: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    split, h, slot = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    beam, size = tl.arange(0, ROWS), tl.arange(0, HEAD)
    row, column = slot * beams, h * HEAD
    here = (beam < beams)[:, None]
    # All of this was there before the step: the first block is read while the kernel before still runs.
    over = tl.load(done + slot) != 0
    cache = (slot * tl.num_programs(1) + h).to(tl.int64) * source * HEAD
    place = split * BLOCK + tl.arange(0, BLOCK)
    there = (place < source) & (over == 0)
    k = tl.load(keys + cache + place[:, None] * HEAD + size[None, :], mask=there[:, None], other=0.0)
    v = tl.load(values + cache + place[:, None] * HEAD + size[None, :], mask=there[:, None], other=0.0)
    # The same for all beams.
    hidden = bias + row * source
    seen = tl.load(hidden + place, mask=there, other=-float("inf")).to(tl.float32) == 0.0
    wait_for_last(OVERLAP)
    extent = tl.load(extents + slot)
    blocks = tl.cdiv(extent, BLOCK)
    used = tl.minimum(tl.maximum(blocks, 1), splits)
    if over:
        if split == 0:
            nothing = tl.zeros([ROWS, HEAD], out.dtype.element_ty)
            tl.store(out + (row + beam)[:, None] * width + column + size[None, :], nothing, mask=here)
    elif split < used:
        query = tl.load(queries + (row + beam)[:, None] * width + column + size[None, :], mask=here, other=0.0)
        query = (query.to(tl.float32) * (scale * _LOG2E)).to(query.dtype)
        most = tl.full([ROWS], -float("inf"), tl.float32)
        total = tl.zeros([ROWS], tl.float32)
        context = tl.zeros([ROWS, HEAD], tl.float32)
        # What lies beyond the article may be no number.
        v = tl.where((place < extent)[:, None], v, tl.zeros_like(v))
        most, total, context = fold(query, k, v, seen[None, :], most, total, context, EXACT)
        for block in range(split + splits, blocks, splits):
            place = block * BLOCK + tl.arange(0, BLOCK)
            there = place < extent
            at = cache + place[:, None] * HEAD + size[None, :]
            k = tl.load(keys + at, mask=there[:, None], other=0.0)
            v = tl.load(values + at, mask=there[:, None], other=0.0)
            seen = tl.load(hidden + place, mask=there, other=-float("inf")).to(tl.float32) == 0.0
            most, total, context = fold(query, k, v, seen[None, :], most, total, context, EXACT)
        merge(
            out, partial, arrived, most, total, context, row, beams, used, splits, width, column, HEAD, ROWS
        )  # fmt: skip


def tree_attention(
    qkv: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    visible: torch.Tensor,
    length: torch.Tensor,
    done: torch.Tensor,
    merging: Merging,
    *,
    block: int = 128,
    splits: int | None = None,
    warps: int = 4,
    **launch: Any,
) -> torch.Tensor:
    """Attention of each beam to the nodes on its path, whose newest ones are written into the caches.

    Args:
        qkv: Queries, keys and values of the newest tokens side by side, (R, 3 W).
        keys: The cache, (B, H, N, D); the newest ones are written.
        values: Likewise.
        visible: The nodes on each beam's path but its newest, BOOL (B, K, N).
        length: Tokens so far, INT64 (B,).
        done: Slots whose search is over, BOOL (B,): nothing is read nor written there, and the result is 0.
        merging: Room for at least these sizes.
        block: Keys that a program reads at a time.
        splits: Programs for each head of a slot; None chooses.
        warps: Of each program.
        launch: ``OVERLAP``, and how Triton launches.

    Returns:
        (R, W).
    """
    slots, heads, nodes, size = keys.shape
    beams, width = visible.shape[1], heads * size
    out = torch.empty(slots * beams, width, dtype=qkv.dtype, device=qkv.device)
    splits = splits or splits_of(slots, heads, nodes, block)
    merging.check(splits * heads * slots, splits)
    on(_tree, (splits, heads, slots))(
        qkv, keys, values, out, visible, length, done, merging.partial, merging.arrived, beams, nodes, width,
        splits, size**-0.5, HEAD=size, ROWS=rows_of(beams), BLOCK=block, EXACT=qkv.dtype == torch.float32,
        num_warps=warps, **launch,
    )  # fmt: skip
    return out


def cross_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    bias: torch.Tensor,
    extents: torch.Tensor,
    done: torch.Tensor,
    merging: Merging,
    *,
    block: int = 128,
    splits: int | None = None,
    warps: int = 4,
    **launch: Any,
) -> torch.Tensor:
    """Attention of each beam to the tokens of its article.

    Args:
        query: (R, W).
        keys: (B, H, S, D).
        values: Likewise.
        bias: 0 where an article has a token, minus infinity where it has none, (B, 1, K, S).
        extents: Places of each article up to its last token, INT32 (B,).
        done: As `tree_attention` takes it.
        merging: Likewise.
        block: Likewise.
        splits: Likewise.
        warps: Likewise.
        launch: Likewise.

    Returns:
        (R, W).
    """
    slots, heads, source, size = keys.shape
    beams, width = query.shape[0] // slots, heads * size
    out = torch.empty_like(query)
    splits = splits or splits_of(slots, heads, source, block)
    merging.check(splits * heads * slots, splits)
    on(_cross, (splits, heads, slots))(
        query, keys, values, out, bias, extents, done, merging.partial, merging.arrived, beams, source, width,
        splits, size**-0.5, HEAD=size, ROWS=rows_of(beams), BLOCK=block, EXACT=query.dtype == torch.float32,
        num_warps=warps, **launch,
    )  # fmt: skip
    return out
