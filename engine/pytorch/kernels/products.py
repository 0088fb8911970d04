"""Products of few rows by large weights, which take as long as the weights take to arrive.

A program has a few outputs and a part of the inputs, and asks for all of its weights before it waits for the rows.

Shapes: ``R`` rows, ``I`` inputs, ``O`` outputs, ``P`` parts of the inputs.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl

from engine.pytorch.model.weights import Dense

from .launching import let_next_begin, on, wait_for_last

TILES: Final = (16, 32, 64, 128)
"""Rows for which kernels are compiled: a product has the least of these that is enough, or several of the last."""
_HALF_ROOT: Final = tl.constexpr(0.7071067811865476)


@triton.jit
def _finish(
    y, out, offset, row, column, rows, outputs, PARTIAL: tl.constexpr, ACTIVATION: tl.constexpr
):  # fmt: skip
    if not PARTIAL:
        y = y + offset[None, :]
        if ACTIVATION == "gelu":
            y = 0.5 * y * (1.0 + tl.erf(y * _HALF_ROOT))
        if ACTIVATION == "relu":
            y = tl.maximum(y, 0.0)
    where_out = out + row[:, None] * outputs + column[None, :]
    tl.store(where_out, y.to(out.dtype.element_ty), mask=(row < rows)[:, None])


@triton.jit(do_not_specialize=["rows"])
def _product(
    x, weight, bias, out, rows, inputs, outputs,
    PART: tl.constexpr, WARPS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, PARTIAL: tl.constexpr,
    ACTIVATION: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    # Each warp has inputs of its own: a product of matrices for each, which are added up at the end.
    EACH: tl.constexpr = PART // WARPS
    group = tl.program_id(1) * PART + tl.arange(0, WARPS)[:, None, None] * EACH
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.arange(0, ROWS)
    k = tl.arange(0, EACH)
    where_w = weight + column[None, None, :].to(tl.int64) * inputs + group + k[None, :, None]
    w = tl.load(where_w, eviction_policy="evict_first")
    offset = tl.load(bias + column).to(tl.float32)
    wait_for_last(OVERLAP)
    a = tl.load(x + row[None, :, None] * inputs + group + k[None, None, :], mask=(row < rows)[None, :, None], other=0.0)
    y = tl.sum(tl.dot(a, w), axis=0)
    _finish(y, out + tl.program_id(1) * rows * outputs, offset, row, column, rows, outputs, PARTIAL, ACTIVATION)


@triton.jit(do_not_specialize=["rows"])
def _product_of_many(
    x, weight, bias, out, rows, inputs, outputs,
    PART: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, PARTIAL: tl.constexpr,
    ACTIVATION: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    k = tl.program_id(1) * PART + tl.arange(0, CHUNK)
    there = (row < rows)[:, None]
    offset = tl.load(bias + column).to(tl.float32)
    where_x = x + row[:, None] * inputs + k[None, :]
    where_w = weight + column[:, None].to(tl.int64) * inputs + k[None, :]
    y = tl.zeros([ROWS, BLOCK], tl.float32)
    wait_for_last(OVERLAP)
    for start in range(0, PART, CHUNK):
        a = tl.load(where_x + start, mask=there, other=0.0)
        w = tl.load(where_w + start)
        y = tl.dot(a, tl.trans(w), y)
    _finish(y, out + tl.program_id(1) * rows * outputs, offset, row, column, rows, outputs, PARTIAL, ACTIVATION)


def fits(x: torch.Tensor, layer: Dense) -> bool:
    """Whether a product can be computed so: in 16 bits, and with sizes that are divided evenly."""
    outputs, inputs = layer.weight.shape
    halves, even = x.dtype in (torch.float16, torch.bfloat16), inputs in (1024, 2048, 4096) and outputs % 128 == 0
    return bool(halves and even)


def product(
    x: torch.Tensor,
    layer: Dense,
    *,
    activation: str = "",
    parts: int = 0,
    block: int = 16,
    warps: int = 4,
    chunk: int = 0,
    **launch: Any,
) -> torch.Tensor:
    """A dense layer, and an activation; or parts of the products alone, for `norms.add_norm` to add up.

    Args:
        x: (R, I); R at most the last of `TILES`, and better few, where there are no chunks.
        layer: The weights.
        activation: ``gelu``, ``relu``, or nothing.
        parts: Whether the inputs are shared among so many programs (1 or more); 0 for one that ends the work.
        block: Outputs of a program.
        warps: Of each program.
        chunk: Inputs that a program reads at a time; 0 for all of its inputs at once.
        launch: ``OVERLAP``, and how Triton launches.

    Returns:
        (R, O) like ``x``, or FP32 (P, R, O) without the bias.
    """
    outputs, inputs = layer.weight.shape
    rows = x.shape[0]
    part = inputs // max(parts, 1)
    if parts:
        out = torch.empty(parts, rows, outputs, dtype=torch.float32, device=x.device)
    else:
        out = torch.empty(rows, outputs, dtype=x.dtype, device=x.device)
    grid = outputs // block, inputs // part
    given = x, layer.weight, layer.bias, out, rows, inputs, outputs
    common = {"PART": part, "BLOCK": block, "PARTIAL": parts > 0, "ACTIVATION": activation, "num_warps": warps}
    if chunk:
        tile = next((tile for tile in TILES if tile >= rows), TILES[-1])
        on(_product_of_many, (*grid, triton.cdiv(rows, tile)))(*given, CHUNK=chunk, ROWS=tile, **common, **launch)
    else:
        tile = next(tile for tile in TILES if tile >= rows)
        on(_product, grid)(*given, WARPS=warps, ROWS=tile, **common, **launch)
    return out
