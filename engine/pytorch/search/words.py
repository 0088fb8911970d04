"""Which words may come next, and the best of them.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``T`` tokens of the longest summary, ``V`` words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

from engine.settings import Rules

from .slots import Lists, Slots

_CHUNKS: Final = 128
"""Parts of the vocabulary whose best words are found side by side: one search through all of it keeps few of a GPU's
multiprocessors busy."""


def scores_of(logits: torch.Tensor, slots: Slots) -> torch.Tensor:
    """Log probabilities (R, more than V); for a single beam the logits as they are.

    A greedy search bars and penalizes the scores as they are, as in ``transformers``, and needs no probabilities.
    """
    articles, beams, _ = slots.tokens.shape
    if beams == 1:
        return logits
    single = (slots.num_beams == 1)[:, None].expand(-1, beams).reshape(articles * beams, 1)
    return torch.where(single, logits, torch.log_softmax(logits, dim=-1))


def barred(
    scores: torch.Tensor, slots: Slots, lists: Lists, rules: Rules, free: torch.Tensor | None = None
) -> torch.Tensor:
    """Lower the scores of words that are there already, and bar those that must not come next.

    Whatever is not to be barred is written to the last column, beyond the words: nothing reads it.

    Args:
        scores: (R, more than V).
        slots: The searches.
        lists: Of the rules.
        rules: Of the checkpoint.
        free: The slots to which these rules apply, BOOL (B,); None for all.

    Returns:
        The same, minus infinity for what is barred.
    """
    articles, beams, longest = slots.tokens.shape
    beyond = scores.shape[1] - 1
    positions = torch.arange(longest, device=scores.device)
    length = slots.length[:, None, None]
    tokens, past = slots.tokens, (positions < length).expand(-1, beams, -1)
    some = torch.ones_like(slots.done) if free is None else free
    past = past & some[:, None, None]
    if rules.repetition_penalty != 1:
        index = torch.where(past, tokens, beyond).view(articles * beams, longest)
        found = scores.gather(1, index)
        found = torch.where(found < 0, found * rules.repetition_penalty, found / rules.repetition_penalty)
        scores = scores.scatter(1, index, found)

    def those(words: int | torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Words at the slots whose flag (B,) is set, (B, K, n)."""
        return torch.where((place & some)[:, None, None], words, beyond).expand(articles, beams, -1)

    index_parts = [those(token, slots.length < slots.min_length) for token in rules.end_tokens]
    if rules.never:
        index_parts.append(those(lists.never, some))
    if rules.never_first:
        index_parts.append(those(lists.never_first, slots.length == rules.before))
    if rules.longest_ngram:
        size = slots.no_repeat_ngram_size[:, None, None]
        same = past & (size > 0)
        for back in range(1, rules.longest_ngram):
            # Does what stands `back` places before each token stand there before the next one too?
            newest = tokens.gather(2, (length - back).clamp(min=0).expand(-1, beams, 1))
            before = torch.cat([torch.full_like(tokens[:, :, :back], -1), tokens[:, :, :-back]], dim=2)
            same = same & ((before == newest) | (size <= back))
        index_parts.append(torch.where(same, tokens, beyond))
    index = torch.cat(index_parts, dim=2).view(articles * beams, -1)
    return scores.scatter(1, index, -torch.inf)


def ends_of(tokens: torch.Tensor, end_tokens: Sequence[int]) -> torch.Tensor:
    """Which tokens end a summary, BOOL of the same shape."""
    found = tokens == end_tokens[0]
    for token in end_tokens[1:]:
        found = found | (tokens == token)
    return found


def top_words(scores: torch.Tensor, count: int, *, chunked: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The best words of each row, best first: their scores and their numbers, both (R, count)."""
    rows, columns = scores.shape
    if not chunked or columns % _CHUNKS or columns // _CHUNKS < count:
        values, words = scores.topk(count, dim=1)
        return values, words
    size = columns // _CHUNKS
    values, words = scores.view(rows, _CHUNKS, size).topk(count, dim=2)
    words = words + torch.arange(0, columns, size, device=scores.device)[:, None]
    values, places = values.view(rows, -1).topk(count, dim=1)
    return values, words.view(rows, -1).gather(1, places)
