"""One step of the beam search of a slot as one program: what `engine.pytorch.search.advance` does with many kernels.

Shapes: ``B`` slots, ``K`` beams, ``C`` candidates, ``P`` parts of the vocabulary, ``T`` tokens of the longest summary,
``N`` nodes.
"""

from __future__ import annotations

from typing import Any, Final

import torch
import triton
import triton.language as tl

from engine.pytorch.search.slots import Slots
from engine.settings import Rules

from .launching import let_next_begin, on, wait_for_last
from .words import Best

_NEVER: Final = tl.constexpr(-1e9)
_INF: Final = tl.constexpr(float("inf"))


@triton.jit
def _picked(chosen, values):
    """The value of the one place that each row of a mask has: (n, m) and (m,) to (n,)."""
    return tl.sum(tl.where(chosen, values[None, :], tl.zeros_like(values)[None, :]), axis=1)


@triton.jit
def _before(ours, theirs, our_places, their_places):
    """How many of theirs come before each of ours: higher, or equal and at an earlier place."""
    higher = theirs[None, :] > ours[:, None]
    equal = (theirs[None, :] == ours[:, None]) & (their_places[None, :] < our_places[:, None])
    return tl.sum((higher | equal).to(tl.int32), axis=1)


@triton.jit(do_not_specialize=["beams", "longest", "nodes", "first_token", "last_token"])
def _advance(
    values, words, highest, sums,
    length, newest, tokens, running, visible, best_tokens, best_scores, finished, improvable, done,
    max_length, num_beams, early_stopping, horizon, spans, end_tokens,
    beams, longest, nodes, parts, ends, first_token, last_token,
    COUNT: tl.constexpr, BEAMS: tl.constexpr, CANDIDATES: tl.constexpr, PARTS: tl.constexpr, TEXT: tl.constexpr,
    NODES: tl.constexpr, ENDS: tl.constexpr, OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    slot = tl.program_id(0)
    beam, candidate, place = tl.arange(0, BEAMS), tl.arange(0, CANDIDATES), tl.arange(0, TEXT)
    end = tl.load(end_tokens + tl.arange(0, ENDS), mask=tl.arange(0, ENDS) < ends, other=-1)
    wait_for_last(OVERLAP)
    if tl.load(done + slot) == 0:
        age = tl.load(length + slot)
        limit = tl.load(max_length + slot)
        wanted = tl.load(num_beams + slot)
        is_beam = beam < beams
        live = beam < wanted
        row = slot * beams
        old = tl.load(running + row + beam, mask=is_beam, other=-_INF)

        # Logarithms of the sums of exponents; a search with one beam has scores as they are.
        part = tl.arange(0, PARTS)
        where_part = (row + beam)[:, None] * parts + part[None, :]
        is_part = is_beam[:, None] & (part < parts)[None, :]
        high = tl.load(highest + where_part, mask=is_part, other=-_INF)
        most = tl.max(high, axis=1)
        reference = tl.where(most == -_INF, 0.0, most)
        shares = tl.load(sums + where_part, mask=is_part, other=0.0) * tl.exp(high - reference[:, None])
        whole = tl.where(is_beam, tl.sum(shares, axis=1), 1.0)
        norm = tl.where(wanted == 1, 0.0, reference + tl.log(whole))

        # The best continuations of all beams.
        index = tl.arange(0, BEAMS * PARTS * CANDIDATES)
        of_beam, of_part = index // (PARTS * CANDIDATES), (index // CANDIDATES) % PARTS
        of_place = index % CANDIDATES
        valid = (of_beam < wanted) & (of_part < parts) & (of_place < COUNT)
        where_value = ((row + of_beam) * parts + of_part) * COUNT + of_place
        totals = tl.load(values + where_value, mask=valid, other=-_INF)
        forced = tl.full([], -1, tl.int64)
        if (first_token >= 0) & (age == 1):
            forced = tl.full([], 0, tl.int64) + first_token
        if (last_token >= 0) & (age == limit - 1):
            forced = tl.full([], 0, tl.int64) + last_token
        if forced >= 0:
            totals = tl.where((of_part == 0) & (of_place == 0) & valid, 0.0, -_INF)
            norm = tl.zeros_like(norm)
        # Each beam's own share, without another trip to memory.
        shape3: tl.constexpr = [BEAMS, PARTS * CANDIDATES]
        totals = tl.reshape(tl.reshape(totals, shape3) - norm[:, None] + old[:, None], [BEAMS * PARTS * CANDIDATES])
        totals = tl.where(valid, totals, -_INF)
        scores = tl.full([CANDIDATES], -_INF, tl.float32)
        places = tl.zeros([CANDIDATES], tl.int32)
        for i in tl.static_range(COUNT):
            best, at = tl.max(totals, axis=0, return_indices=True)
            scores = tl.where(candidate == i, best, scores)
            places = tl.where(candidate == i, at, places)
            totals = tl.where(index == at, -_INF, totals)
        parents = places // (PARTS * CANDIDATES)
        from_part = (places // CANDIDATES) % PARTS
        from_place = places % CANDIDATES
        is_one = (candidate < COUNT) & (parents < beams) & (from_part < parts) & (from_place < COUNT)
        where_word = ((row + parents) * parts + from_part) * COUNT + from_place
        chosen = tl.load(words + where_word, mask=is_one & (forced < 0), other=0).to(tl.int64)
        chosen = tl.where(forced >= 0, forced, chosen)
        is_end = tl.sum((chosen[:, None] == end[None, :]).to(tl.int32), axis=1) > 0
        is_end = is_end | (age + 1 >= limit)

        # Those that run on.
        on = tl.where(is_end, scores + _NEVER, scores)
        on_rank = _before(on, on, candidate, candidate)
        runs = on_rank[None, :] == beam[:, None]
        run_scores = tl.where(live, _picked(runs, on), _NEVER)
        run_words = _picked(runs, chosen)
        run_parents = _picked(runs, parents)

        # Those that end, among the finished ones.
        span = tl.load(spans + slot * longest + age)
        just = is_end & (candidate < wanted)
        penalized = tl.div_rn(scores, span + tl.zeros_like(scores))
        penalized = tl.where(just, penalized, penalized + _NEVER)
        kept = tl.load(best_scores + row + beam, mask=is_beam, other=-_INF)
        was = tl.load(finished + row + beam, mask=is_beam, other=0) != 0
        old_rank = _before(kept, kept, beam, beam) + _before(kept, penalized, beam, candidate + BEAMS)
        new_rank = _before(penalized, penalized, candidate, candidate)
        new_rank += _before(penalized, kept, candidate + BEAMS, beam)
        stays, comes = old_rank[None, :] == beam[:, None], new_rank[None, :] == beam[:, None]
        stays = stays & is_beam[None, :]
        comes = comes & (candidate < COUNT)[None, :]
        top_scores = tl.where(live, _picked(stays, kept) + _picked(comes, penalized), _NEVER)
        is_finished = (_picked(stays, was.to(tl.int32)) + _picked(comes, just.to(tl.int32)) > 0) & live
        is_old = tl.sum(stays.to(tl.int32), axis=1) > 0
        top_row = tl.where(is_old, _picked(stays, beam), _picked(comes, parents))
        top_word = _picked(comes, chosen)

        # All is read before anything is written: beams take each other's places.
        at = tl.minimum(age, longest - 1)
        is_text = is_beam[:, None] & (place < longest)[None, :]
        run_text = tl.load(tokens + (row + run_parents)[:, None] * longest + place[None, :], mask=is_text, other=0)
        run_text = tl.where(place[None, :] == at, run_words[:, None], run_text)
        where_top = (row + top_row)[:, None] * longest + place[None, :]
        top_text = tl.load(best_tokens + where_top, mask=is_text & is_old[:, None], other=0)
        new_text = tl.load(tokens + where_top, mask=is_text & ~is_old[:, None], other=0)
        new_text = tl.where(place[None, :] == at, top_word[:, None], new_text)
        top_text = tl.where(is_old[:, None], top_text, new_text)
        node = tl.arange(0, NODES)
        is_node = is_beam[:, None] & (node < nodes)[None, :]
        sees = tl.load(visible + (row + run_parents)[:, None] * nodes + node[None, :], mask=is_node, other=0) != 0
        sees = sees | (node[None, :] == (age - 1) * beams + run_parents[:, None])
        tl.debug_barrier()
        tl.store(tokens + (row + beam)[:, None] * longest + place[None, :], run_text, mask=is_text)
        tl.store(best_tokens + (row + beam)[:, None] * longest + place[None, :], top_text, mask=is_text)
        tl.store(visible + (row + beam)[:, None] * nodes + node[None, :], sees, mask=is_node)
        tl.store(newest + row + beam, run_words, mask=is_beam)
        tl.store(running + row + beam, run_scores, mask=is_beam)
        tl.store(best_scores + row + beam, top_scores, mask=is_beam)
        tl.store(finished + row + beam, is_finished, mask=is_beam)

        # Whether a running one may become better, which is asked with the lengths of the next step.
        ahead = tl.load(horizon + slot)
        leading = tl.sum(tl.where(beam == 0, run_scores, 0.0), axis=0)
        possible = tl.div_rn(leading, tl.load(spans + slot * longest + tl.where(ahead > 0, ahead, age)))
        lowest = tl.min(tl.where(live, top_scores, _INF), axis=0)
        worst = tl.where(is_finished, lowest, _NEVER)
        better = tl.sum(((possible > worst) & live).to(tl.int32), axis=0) > 0
        hopeful = (tl.load(improvable + slot) != 0) & better
        missing = tl.sum((live & ~is_finished).to(tl.int32), axis=0)
        enough = (tl.load(early_stopping + slot) == 1) & (missing == 0)
        over = (age + 1 >= limit) | ~hopeful | enough
        tl.debug_barrier()
        tl.store(improvable + slot, hopeful)
        tl.store(length + slot, tl.where(over, age, age + 1))
        tl.store(done + slot, over)


def advance(slots: Slots, best: Best, ends: torch.Tensor, rules: Rules, *, warps: int = 4, **launch: Any) -> None:
    """Continue the beams of every slot that is not done by a token.

    Args:
        slots: Changed in place.
        best: The best words of each beam.
        ends: The end tokens of the rules, INT64 (n,).
        rules: Of the checkpoint.
        warps: Of each program.
        launch: ``OVERLAP``, and how Triton launches.
    """
    articles, beams, longest = slots.tokens.shape
    count, power = best.values.shape[2], triton.next_power_of_2
    parts, nodes = best.highest.shape[1], slots.visible.shape[2]
    on(_advance, (articles,))(
        *best, slots.length, slots.newest, slots.tokens, slots.running, slots.visible, slots.best_tokens,
        slots.best_scores, slots.finished, slots.improvable, slots.done, slots.max_length, slots.num_beams,
        slots.early_stopping, slots.horizon, slots.spans, ends, beams, longest, nodes, parts, len(ends),
        -1 if rules.first_token is None else rules.first_token, -1 if rules.last_token is None else rules.last_token,
        COUNT=count, BEAMS=power(beams), CANDIDATES=power(count), PARTS=power(parts), TEXT=power(longest),
        NODES=power(nodes), ENDS=power(len(ends)), num_warps=warps, **launch,
    )  # fmt: skip
