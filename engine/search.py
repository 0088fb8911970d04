"""Beam search on static buffers: what one step does with the scores of the words.

The search is that of ``transformers`` (``GenerationMixin._beam_search``, version 5): candidates, scores and ends are
the same, and so are the tokens. What differs is where it runs: every slot has an age and settings of its own, which are
tensors, so that nothing is decided on the host and slots that begin at different times share a step. A slot that is
done stays as it is, however many steps follow.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``T`` tokens of the longest summary, ``V`` words, ``N`` nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch

from .settings import EARLY_STOPPING, Bucket, Rules, Settings

NEVER: Final = -1e9
"""The score of a beam that cannot be chosen, as in ``transformers``."""
_CHUNKS: Final = 128
"""Parts of the vocabulary whose best words are found side by side: one search through all of it keeps few of a GPU's
multiprocessors busy."""


class Slots(NamedTuple):
    """The state of all searches and their settings: what a step reads and changes."""

    length: torch.Tensor
    """INT64 (B,): tokens so far."""
    tokens: torch.Tensor
    """INT64 (B, K, T): those of the running beams, then padding."""
    running: torch.Tensor
    """FP32 (B, K): their log probabilities, best first."""
    visible: torch.Tensor
    """BOOL (B, K, N): the nodes on each beam's path."""
    best_tokens: torch.Tensor
    """INT64 (B, K, T): those of the finished beams, best first, then padding."""
    best_scores: torch.Tensor
    """FP32 (B, K)."""
    finished: torch.Tensor
    """BOOL (B, K): which of these places hold a finished beam."""
    improvable: torch.Tensor
    """BOOL (B,): whether a better one may still be found."""
    done: torch.Tensor
    """BOOL (B,): whether the search is over; an empty slot is done."""
    min_length: torch.Tensor
    """INT64 (B,); this and what follows as `Settings` has it."""
    max_length: torch.Tensor
    """INT64 (B,)."""
    length_penalty: torch.Tensor
    """FP64 (B,)."""
    no_repeat_ngram_size: torch.Tensor
    """INT64 (B,)."""
    early_stopping: torch.Tensor
    """INT64 (B,): a value of `EARLY_STOPPING`."""


def make_slots(bucket: Bucket, rules: Rules, device: str) -> Slots:
    """Empty slots."""
    slots, beams, longest = bucket.slots, bucket.beams, bucket.target_length

    def integers(*shape: int, value: int) -> torch.Tensor:
        return torch.full(shape, value, dtype=torch.int64, device=device)

    def flags(*shape: int, value: bool) -> torch.Tensor:
        return torch.full(shape, value, dtype=torch.bool, device=device)

    def scores() -> torch.Tensor:
        return torch.full((slots, beams), NEVER, dtype=torch.float32, device=device)

    return Slots(
        length=integers(slots, value=1),
        tokens=integers(slots, beams, longest, value=rules.pad_token),
        running=scores(),
        visible=flags(slots, beams, bucket.nodes, value=False),
        best_tokens=integers(slots, beams, longest, value=rules.pad_token),
        best_scores=scores(),
        finished=flags(slots, beams, value=False),
        improvable=flags(slots, value=True),
        done=flags(slots, value=True),
        min_length=integers(slots, value=0),
        max_length=integers(slots, value=longest),
        length_penalty=torch.ones(slots, dtype=torch.float64, device=device),
        no_repeat_ngram_size=integers(slots, value=0),
        early_stopping=integers(slots, value=1),
    )


def begin(slots: Slots, rules: Rules, settings: Sequence[Settings]) -> None:
    """Begin a search in each of the first slots and empty the others; every tensor is written anew.

    Args:
        slots: Changed in place.
        rules: Of the checkpoint.
        settings: Of each article, at most as many as there are slots.
    """
    count, (articles, beams, _) = len(settings), slots.tokens.shape
    # One beam is a greedy search, which `transformers` ends at the first end token whatever this setting says.
    early = [EARLY_STOPPING[s.early_stopping] if beams > 1 else 1 for s in settings]

    def put(target: torch.Tensor, values: Sequence[float], empty: float) -> None:
        whole = [*values, *[empty] * (articles - count)]
        target.copy_(torch.tensor(whole, dtype=target.dtype))

    put(slots.min_length, [s.min_length for s in settings], 0)
    put(slots.max_length, [s.max_length for s in settings], 2)
    put(slots.length_penalty, [s.length_penalty for s in settings], 1)
    put(slots.no_repeat_ngram_size, [s.no_repeat_ngram_size for s in settings], 0)
    put(slots.early_stopping, early, 1)
    put(slots.done, [False] * count, True)
    slots.length.fill_(1)
    for tokens in (slots.tokens, slots.best_tokens):
        tokens.fill_(rules.pad_token)
        tokens[:, :, 0] = rules.start_token
    slots.running.fill_(NEVER)
    slots.running[:, 0] = 0
    slots.visible.fill_(False)
    slots.best_scores.fill_(NEVER)
    slots.finished.fill_(False)
    slots.improvable.fill_(True)


def advance(slots: Slots, logits: torch.Tensor, rules: Rules, *, chunked: bool = True) -> None:
    """Continue the beams of every slot by a token.

    Args:
        slots: Changed in place.
        logits: Scores of the words, FP32 (R, more than V): what is beyond the words is minus infinity.
        rules: Of the checkpoint.
        chunked: Whether the best words are found part by part of the vocabulary; the same words either way.
    """
    articles, beams, longest = slots.tokens.shape
    count, going = 2 * beams, ~slots.done
    length = slots.length
    order = torch.arange(count, device=logits.device)

    # The best continuations of each beam, then of each article.
    # A greedy search bars and penalizes the scores as they are, as in `transformers`, and needs no probabilities.
    candidates = logits if beams == 1 else torch.log_softmax(logits, dim=-1)
    values, words = top_words(barred(candidates, slots, rules), count, chunked=chunked)
    values, words = values.view(articles, beams, count), words.view(articles, beams, count)
    for token, place in ((rules.first_token, length == 1), (rules.last_token, length == slots.max_length - 1)):
        if token is not None:
            certain = torch.where(order == 0, 0.0, -torch.inf)
            values = torch.where(place[:, None, None], certain, values)
            words = words.masked_fill(place[:, None, None], token)
    totals = (values + slots.running[:, :, None]).view(articles, beams * count)
    scores, places = totals.topk(count, dim=1)
    tokens = words.reshape(articles, beams * count).gather(1, places)
    parents = places // count
    full = length + 1 >= slots.max_length
    ends = (tokens == rules.end_token) | full[:, None]

    # Their texts: the parent's, and the new token at the end.
    texts = slots.tokens.gather(1, parents[:, :, None].expand(-1, -1, longest))
    at = length.clamp(max=longest - 1)[:, None, None].expand(-1, count, -1)
    texts = texts.scatter(2, at, tokens[:, :, None])

    # Those that run on.
    running, picks = (scores + ends * NEVER).topk(beams, dim=1)
    running_texts = texts.gather(1, picks[:, :, None].expand(-1, -1, longest))
    kept = parents.gather(1, picks)[:, :, None].expand(-1, -1, slots.visible.shape[2])
    visible = slots.visible.gather(1, kept)

    # Those that are finished, old and new.
    just = ends & (order < beams)
    penalized = scores / length.double().pow(slots.length_penalty).float()[:, None] + ~just * NEVER
    best, places = torch.cat([slots.best_scores, penalized], dim=1).topk(beams, dim=1)
    finished = torch.cat([slots.finished, just], dim=1).gather(1, places)
    all_texts = torch.cat([slots.best_tokens, texts], dim=1)
    best_texts = all_texts.gather(1, places[:, :, None].expand(-1, -1, longest))

    # Whether a running one may become better, which is asked with the lengths of the next step.
    hopeful = (slots.early_stopping == EARLY_STOPPING["never"]) & (slots.length_penalty > 0)
    span = torch.where(hopeful, slots.max_length - 1, length)
    possible = running[:, :1] / span.double().pow(slots.length_penalty).float()[:, None]
    worst = torch.where(finished, best.min(dim=1, keepdim=True).values, NEVER)
    improvable = slots.improvable & (possible > worst).any(dim=1)
    over = full | ~improvable | ((slots.early_stopping == 1) & finished.all(dim=1))

    keep(slots.tokens, running_texts, going)
    keep(slots.running, running, going)
    keep(slots.visible, visible, going)
    keep(slots.best_tokens, best_texts, going)
    keep(slots.best_scores, best, going)
    keep(slots.finished, finished, going)
    keep(slots.improvable, improvable, going)
    slots.length.add_(going & ~over)
    slots.done.logical_or_(over)


def keep(target: torch.Tensor, new: torch.Tensor, going: torch.Tensor) -> None:
    """Write ``new`` into the slots that are not done."""
    target.copy_(torch.where(going.view(-1, *[1] * (new.dim() - 1)), new, target))


def barred(scores: torch.Tensor, slots: Slots, rules: Rules) -> torch.Tensor:
    """Scores of the words (R, more than V), minus infinity for those that must not come next.

    Whatever is not to be barred is written to the last column, beyond the words: nothing reads it.
    """
    articles, beams, longest = slots.tokens.shape
    beyond = scores.shape[1] - 1
    positions = torch.arange(longest, device=scores.device)
    length = slots.length[:, None, None]
    tokens, past = slots.tokens, (positions < length).expand(-1, beams, -1)
    if rules.repetition_penalty != 1:
        index = torch.where(past, tokens, beyond).view(articles * beams, longest)
        found = scores.gather(1, index)
        found = torch.where(found < 0, found * rules.repetition_penalty, found / rules.repetition_penalty)
        scores = scores.scatter(1, index, found)
    short = (slots.length < slots.min_length)[:, None, None].expand(-1, beams, 1)
    barred_tokens = [torch.where(short, rules.end_token, beyond)]
    if rules.longest_ngram:
        size = slots.no_repeat_ngram_size[:, None, None]
        same = past & (size > 0)
        for back in range(1, rules.longest_ngram):
            # Does what stands `back` places before each token stand there before the next one too?
            newest = tokens.gather(2, (length - back).clamp(min=0).expand(-1, beams, 1))
            before = torch.cat([torch.full_like(tokens[:, :, :back], -1), tokens[:, :, :-back]], dim=2)
            same = same & ((before == newest) | (size <= back))
        barred_tokens.append(torch.where(same, tokens, beyond))
    index = torch.cat(barred_tokens, dim=2).view(articles * beams, -1)
    return scores.scatter(1, index, -torch.inf)


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
