"""Layer normalisation of a hidden state: after a residual connection, and at the beginning of a step.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, width ``W``, ``P`` parts, ``S`` tokens of an article.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from engine.pytorch.model.weights import Norm

from .launching import let_next_begin, on, wait_for_last


@triton.jit
def _normalized(x, there, width, weight, offset):
    mean = tl.sum(x, axis=0) / width
    centred = tl.where(there, x - mean, 0.0)
    variance = tl.sum(centred * centred, axis=0) / width
    return centred * tl.rsqrt(variance + 1e-5) * weight + offset


@triton.jit(do_not_specialize=["rows"])
def _add_norm(
    y, bias, skip, weight, offset, out, rows, width,
    PARTS: tl.constexpr, WIDTH: tl.constexpr, BIASED: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    row = tl.program_id(0)
    column = tl.arange(0, WIDTH)
    there = column < width
    scales = tl.load(weight + column, mask=there, other=0.0).to(tl.float32)
    offsets = tl.load(offset + column, mask=there, other=0.0).to(tl.float32)
    added = tl.zeros([WIDTH], tl.float32)
    if BIASED:
        added += tl.load(bias + column, mask=there, other=0.0).to(tl.float32)
    wait_for_last(OVERLAP)
    x = tl.load(skip + row * width + column, mask=there, other=0.0).to(tl.float32) + added
    for part in tl.static_range(PARTS):
        x += tl.load(y + (part * rows + row) * width + column, mask=there, other=0.0).to(tl.float32)
    found = _normalized(x, there, width, scales, offsets)
    tl.store(out + row * width + column, found.to(out.dtype.element_ty), mask=there)


def add_norm(
    y: torch.Tensor, skip: torch.Tensor, norm: Norm, bias: torch.Tensor | None = None, **launch: Any
) -> torch.Tensor:
    """Residual connection and layer normalisation in fp32.

    Args:
        y: What is added: (R, W), or parts of it, (P, R, W).
        skip: (R, W).
        norm: The weights of the normalisation.
        bias: Added too, (W,).
        launch: ``OVERLAP``, and how Triton launches.

    Returns:
        (R, W) like ``skip``.
    """
    rows, width = skip.shape
    out = torch.empty_like(skip)
    on(_add_norm, (rows,))(
        y, skip if bias is None else bias, skip, norm.weight, norm.bias, out, rows, width,
        PARTS=y.shape[0] if y.dim() == 3 else 1, WIDTH=triton.next_power_of_2(width), BIASED=bias is not None,
        num_warps=4, **launch,
    )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["beams", "source"])
def _embed(
    newest, length, words, positions, weight, offset, bias, out, extents, beams, width, source, scale,
    WIDTH: tl.constexpr, SOURCE: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    row = tl.program_id(0)
    column, position = tl.arange(0, WIDTH), tl.arange(0, SOURCE)
    there = column < width
    scales = tl.load(weight + column, mask=there, other=0.0).to(tl.float32)
    offsets = tl.load(offset + column, mask=there, other=0.0).to(tl.float32)
    wait_for_last(OVERLAP)
    token = tl.load(newest + row)
    if row % beams == 0:
        hidden = tl.load(bias + row * source + position, mask=position < source, other=-float("inf"))
        extent = tl.max(tl.where(hidden.to(tl.float32) == 0.0, position + 1, 0), axis=0)
        tl.store(extents + row // beams, extent)
    place = tl.load(length + row // beams) - 1
    x = tl.load(words + token * width + column, mask=there, other=0.0).to(tl.float32) * scale
    x += tl.load(positions + place * width + column, mask=there, other=0.0).to(tl.float32)
    found = _normalized(x, there, width, scales, offsets)
    tl.store(out + row * width + column, found.to(out.dtype.element_ty), mask=there)


def embed(
    newest: torch.Tensor,
    length: torch.Tensor,
    words: torch.Tensor,
    positions: torch.Tensor,
    norm: Norm,
    bias: torch.Tensor,
    scale: float,
    **launch: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a step begins with.

    Args:
        newest: INT64 (B, K).
        length: Tokens so far, INT64 (B,).
        words: The embedding, (padded vocabulary, W).
        positions: (positions, W).
        norm: The weights of the normalisation.
        bias: 0 where an article has a token, minus infinity where it has none, (B, 1, K, S).
        scale: Multiplies the embedding.
        launch: ``OVERLAP``, and how Triton launches.

    Returns:
        The hidden state of each beam's newest token, (B K, W), and the places of each article up to its last token,
        INT32 (B,).
    """
    rows, width, source = newest.numel(), words.shape[1], bias.shape[3]
    extents = torch.empty(len(newest), dtype=torch.int32, device=words.device)
    out = torch.empty(rows, width, dtype=words.dtype, device=words.device)
    on(_embed, (rows,))(
        newest, length, words, positions, norm.weight, norm.bias, bias, out, extents, newest.shape[1], width,
        source, scale, WIDTH=triton.next_power_of_2(width), SOURCE=triton.next_power_of_2(source), num_warps=4,
        **launch,
    )  # fmt: skip
    return out, extents
