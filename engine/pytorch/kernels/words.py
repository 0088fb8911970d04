"""The best words of each beam, part by part of the vocabulary, with what their probabilities need.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``C`` candidates, ``P`` parts, ``T`` tokens of the longest summary,
``V`` the padded vocabulary.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
import triton
import triton.language as tl

from engine.pytorch.search.slots import Slots
from engine.settings import Rules

from .launching import let_next_begin, on, wait_for_last

PART: Final = 2048
"""Words of a part."""
ALWAYS, FIRST, EARLY = 0, 1, 2
"""When a word is barred: always, as the first one of the text, or while the summary is shorter than asked."""


class Bars(NamedTuple):
    """Words that the rules of a checkpoint bar, and when: INT64 (n,) and INT32 (n,)."""

    words: torch.Tensor
    when: torch.Tensor


def bars_of(rules: Rules, device: str) -> Bars:
    """The bars of some rules."""
    found = [(word, ALWAYS) for word in rules.never]
    found += [(word, FIRST) for word in rules.never_first]
    found += [(word, EARLY) for word in rules.end_tokens]
    words, when = zip(*found, strict=True)
    return Bars(
        torch.tensor(words, dtype=torch.int64, device=device), torch.tensor(when, dtype=torch.int32, device=device)
    )


class Best(NamedTuple):
    """What is known of each part of the vocabulary."""

    values: torch.Tensor
    """The scores of its best words that are not barred, best first, FP32 (R, P, C)."""
    words: torch.Tensor
    """Their numbers, INT32 (R, P, C)."""
    highest: torch.Tensor
    """The highest score of all its words, FP32 (R, P)."""
    sums: torch.Tensor
    """The sum of the exponents of what the scores lie below the highest one, FP32 (R, P)."""


@triton.jit(do_not_specialize=["beams", "longest", "before", "bars"])
def _best_of_part(
    logits, bias, tokens, length, done, min_length, ngram, bar_words, bar_when, values, words, highest, sums,
    beams, longest, columns, before, bars,
    COUNT: tl.constexpr, SIZE: tl.constexpr, TEXT: tl.constexpr, BARS: tl.constexpr, NGRAM: tl.constexpr,
    OVERLAP: tl.constexpr,
):  # fmt: skip
    let_next_begin(OVERLAP)
    row, part = tl.program_id(0), tl.program_id(1)
    slot = row // beams
    bar, place = tl.arange(0, BARS), tl.arange(0, TEXT)
    listed = tl.load(bar_words + bar, mask=bar < bars, other=-1)
    when = tl.load(bar_when + bar, mask=bar < bars, other=0)
    column = part * SIZE + tl.arange(0, SIZE)
    offset = tl.load(bias + column, mask=column < columns, other=-float("inf"))
    wait_for_last(OVERLAP)
    if tl.load(done + slot) == 0:
        scores = tl.load(logits + row.to(tl.int64) * columns + column, mask=column < columns, other=0.0).to(tl.float32)
        scores += offset
        age = tl.load(length + slot)
        listed = tl.where((when == 1) & (age != before), -1, listed)
        listed = tl.where((when == 2) & (age >= tl.load(min_length + slot)), -1, listed)
        # Words that stand where the newest ones stood before.
        text = tokens + row * longest
        past = place < age
        follows = tl.load(text + place, mask=past, other=-1)
        if NGRAM > 0:
            size = tl.load(ngram + slot)
            same = past & (size > 0)
            for back in tl.static_range(1, NGRAM):
                newest = tl.load(text + tl.maximum(age - back, 0))
                earlier = tl.load(text + place - back, mask=past & (place >= back), other=-1)
                same = same & ((earlier == newest) | (size <= back))
            follows = tl.where(same, follows, -1)
        most = tl.max(scores, axis=0)
        reference = tl.where(most == -float("inf"), 0.0, most)
        tl.store(highest + row * tl.num_programs(1) + part, most)
        tl.store(sums + row * tl.num_programs(1) + part, tl.sum(tl.exp(scores - reference), axis=0))
        found = 0
        target = (row * tl.num_programs(1) + part) * COUNT
        while found < COUNT:
            best, at = tl.max(scores, axis=0, return_indices=True)
            word = part * SIZE + at
            barred = tl.sum((listed == word).to(tl.int32), axis=0)
            if NGRAM > 0:
                barred += tl.sum((follows == word).to(tl.int32), axis=0)
            # Where nothing is left, the rest is as good as barred.
            if (barred == 0) | (best == -float("inf")):
                tl.store(values + target + found, best)
                tl.store(words + target + found, word)
                found += 1
            scores = tl.where(column == word, -float("inf"), scores)


def best_words(
    logits: torch.Tensor, bias: torch.Tensor, slots: Slots, bars: Bars, rules: Rules, *, warps: int = 4, **launch: Any
) -> Best:
    """The best words of each part of the vocabulary, of slots that are not done.

    Args:
        logits: Scores without their bias, FP32 (R, V).
        bias: FP32 (V,); minus infinity beyond the words.
        slots: The searches.
        bars: Of the rules.
        rules: Of the checkpoint, without a penalty for repetition.
        warps: Of each program.
        launch: ``OVERLAP``, and how Triton launches.
    """
    rows, columns = logits.shape
    _, beams, longest = slots.tokens.shape
    parts, count = triton.cdiv(columns, PART), beams * rules.candidates_per_beam
    values = torch.empty(rows, parts, count, dtype=torch.float32, device=logits.device)
    words = torch.empty(rows, parts, count, dtype=torch.int32, device=logits.device)
    highest, sums = (torch.empty(rows, parts, dtype=torch.float32, device=logits.device) for _ in range(2))
    on(_best_of_part, (rows, parts))(
        logits, bias, slots.tokens, slots.length, slots.done, slots.min_length, slots.no_repeat_ngram_size,
        bars.words, bars.when, values, words, highest, sums, beams, longest, columns, rules.before, len(bars.words),
        COUNT=count, SIZE=PART, TEXT=triton.next_power_of_2(longest), BARS=triton.next_power_of_2(len(bars.words)),
        NGRAM=rules.longest_ngram, num_warps=warps, **launch,
    )  # fmt: skip
    return Best(values, words, highest, sums)
