"""Keys that are shared among programs: a softmax over a part of them, and what the last program makes of all parts.

Each program has some of the keys of one head and one slot; the last one of them to end merges what all have left
(Flash-Decoding, https://pytorch.org/blog/flash-decoding/).

Shapes: ``B`` slots, ``H`` heads.
"""

from __future__ import annotations

from typing import Final

import torch
import triton
import triton.language as tl

_PROGRAMS: Final = 256
"""So many programs at least keep a GPU's multiprocessors busy: two on each, or nearly."""
_MOST_SPLITS: Final = 8


@triton.jit
def fold(query, keys, values, seen, most, total, context, EXACT: tl.constexpr):
    """Take a block of keys into a running softmax: its highest score, its sum, and the values by their shares."""
    precision: tl.constexpr = "ieee" if EXACT else "tf32"
    scores = tl.dot(query, tl.trans(keys), input_precision=precision)
    scores = tl.where(seen, scores, -float("inf"))
    highest = tl.maximum(most, tl.max(scores, axis=1))
    # A row that sees nothing yet has no highest score.
    reference = tl.where(highest == -float("inf"), 0.0, highest)
    shares = tl.exp2(scores - reference[:, None])
    old = tl.exp2(most - reference)
    total = total * old + tl.sum(shares, axis=1)
    context = context * old[:, None] + tl.dot(shares.to(values.dtype), values, input_precision=precision)
    return highest, total, context


@triton.jit
def merge(
    out, partial, arrived, most, total, context, row, beams, used, splits, width, column,
    HEAD: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Write the attention of a head, or leave a part of it and let the last program write."""
    beam, size = tl.arange(0, ROWS), tl.arange(0, HEAD)
    where_out = out + (row + beam)[:, None] * width + column + size[None, :]
    here = (beam < beams)[:, None]
    split, head = tl.program_id(0), tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)
    if used > 1:
        mine = partial + (head * splits + split) * ROWS * (HEAD + 2)
        tl.store(mine + beam[:, None] * HEAD + size[None, :], context, mask=here)
        tl.store(mine + ROWS * HEAD + beam, most, mask=beam < beams)
        tl.store(mine + ROWS * (HEAD + 1) + beam, total, mask=beam < beams)
        tl.debug_barrier()
        before = tl.atomic_add(arrived + head, 1, sem="acq_rel")
        if before == used - 1:
            tl.debug_barrier()
            tl.store(arrived + head, 0)
            most = tl.full([ROWS], -float("inf"), tl.float32)
            total = tl.zeros([ROWS], tl.float32)
            context = tl.zeros([ROWS, HEAD], tl.float32)
            for other in range(used):
                theirs = partial + (head * splits + other) * ROWS * (HEAD + 2)
                part = tl.load(
                    theirs + beam[:, None] * HEAD + size[None, :], mask=here, other=0.0, cache_modifier=".cg"
                )
                high = tl.load(theirs + ROWS * HEAD + beam, mask=beam < beams, other=0.0, cache_modifier=".cg")
                sums = tl.load(theirs + ROWS * (HEAD + 1) + beam, mask=beam < beams, other=0.0, cache_modifier=".cg")
                highest = tl.maximum(most, high)
                reference = tl.where(highest == -float("inf"), 0.0, highest)
                old, new = tl.exp2(most - reference), tl.exp2(high - reference)
                total = total * old + sums * new
                context = context * old[:, None] + part * new[:, None]
                most = highest
            context = context / tl.where(total > 0, total, 1.0)[:, None]
            tl.store(where_out, context.to(out.dtype.element_ty), mask=here)
    else:
        context = context / tl.where(total > 0, total, 1.0)[:, None]
        tl.store(where_out, context.to(out.dtype.element_ty), mask=here)


def rows_of(beams: int) -> int:
    """Rows of a block of queries: the units that multiply matrices take 16 at a time."""
    return int(max(16, triton.next_power_of_2(beams)))


def splits_of(slots: int, heads: int, places: int, block: int) -> int:
    """Programs among which the keys of a head are shared."""
    wanted = triton.next_power_of_2(triton.cdiv(_PROGRAMS, slots * heads))
    return int(min(wanted, _MOST_SPLITS, triton.next_power_of_2(triton.cdiv(places, block))))


class Merging:
    """What programs that share the keys of a head leave for the last of them."""

    def __init__(self, slots: int, heads: int, beams: int, head_size: int, device: str) -> None:
        """Room for all of these, and for any fewer."""
        # As `splits_of` shares, and where a caller shares among more.
        most = max(2 * _PROGRAMS, heads * _MOST_SPLITS)
        self._most = most
        self.partial = torch.zeros(most * rows_of(beams) * (head_size + 2), dtype=torch.float32, device=device)
        self.arrived = torch.zeros(slots * heads, dtype=torch.int32, device=device)

    def check(self, programs: int, splits: int) -> None:
        """Compare with what there is room for.

        Raises:
            ValueError: So many programs would leave more than there is room for.
        """
        if splits > 1 and programs > self._most:
            raise ValueError(
                f"at most {self._most} programs share keys, not {programs}: take fewer than {splits} splits"
            )
