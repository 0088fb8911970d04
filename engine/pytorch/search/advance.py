"""Beam search on static buffers: what one step does with the scores of the words.

The search is that of ``transformers`` (``GenerationMixin._beam_search``, version 5): candidates, scores and ends are
the same, and so are the tokens. What differs is where it runs: every slot has an age and wishes of its own, which are
tensors, so that nothing is decided on the host and slots that begin at different times share a step. A slot that is
done stays as it is, however many steps follow. A slot may search with fewer beams than its buffers have: no candidate
of the others is ever chosen.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``C`` candidates, ``T`` tokens of the longest summary, ``V`` words,
``N`` nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from engine.settings import EARLY_STOPPING, Rules
from engine.tensors import NEVER

from .quoting import quotes
from .sampling import drawn
from .slots import Choices, Lists, Slots
from .words import barred, ends_of, scores_of, top_words


class _Chosen(NamedTuple):
    """The best continuations of each slot, best first, (B, C) each."""

    scores: torch.Tensor
    tokens: torch.Tensor
    parents: torch.Tensor
    """The beam that each one continues."""
    ends: torch.Tensor


def advance(
    slots: Slots,
    choices: Choices | None,
    logits: torch.Tensor,
    seen: torch.Tensor,
    lists: Lists,
    rules: Rules,
    *,
    chunked: bool = True,
) -> None:
    """Continue the beams of every slot by a token.

    Args:
        slots: Changed in place.
        choices: Changed in place; None where no slot quotes or draws.
        logits: Scores of the words, FP32 (R, more than V): what is beyond the words is minus infinity.
        seen: The nodes that each beam sees, BOOL (B, K, N).
        lists: Of the rules.
        rules: Of the checkpoint.
        chunked: Whether the best words are found part by part of the vocabulary; the same words either way.
    """
    _, beams, longest = slots.tokens.shape
    going, length = ~slots.done, slots.length
    live = torch.arange(beams, device=logits.device) < slots.num_beams[:, None]
    values, words, quoted = _best_words(slots, choices, logits, lists, rules, chunked=chunked)
    chosen = _choose(slots, values, words, live, rules)

    # Their texts: the parent's, and the new token at the end.
    count = chosen.tokens.shape[1]
    texts = slots.tokens.gather(1, chosen.parents[:, :, None].expand(-1, -1, longest))
    at = length.clamp(max=longest - 1)[:, None, None].expand(-1, count, -1)
    texts = texts.scatter(2, at, chosen.tokens[:, :, None])

    # Those that run on.
    running, picks = _highest(chosen.scores + chosen.ends * NEVER, beams)
    running = running.masked_fill(~live, NEVER)
    parents = chosen.parents.gather(1, picks)
    keep(slots.tokens, _taken(texts, picks), going)
    keep(slots.newest, chosen.tokens.gather(1, picks), going)
    keep(slots.visible, _taken(seen, parents), going)
    if choices is not None and quoted is not None:
        keep(choices.quoted, _taken(quoted, parents), going)
    keep(slots.running, running, going)
    _finish(slots, chosen, texts, live, going)

    # Whether a running one may become better, which is asked with the lengths of the next step.
    horizon = torch.where(slots.horizon > 0, slots.horizon, length)
    possible = running[:, :1] / slots.spans.gather(1, horizon[:, None])
    lowest = slots.best_scores.masked_fill(~live, torch.inf).amin(dim=1, keepdim=True)
    worst = torch.where(slots.finished, lowest, NEVER)
    improvable = slots.improvable & ((possible > worst) & live).any(dim=1)
    enough = (slots.early_stopping == EARLY_STOPPING[True]) & (slots.finished | ~live).all(dim=1)
    over = (length + 1 >= slots.max_length) | ~improvable | enough
    keep(slots.improvable, improvable, going)
    slots.length.add_(going & ~over)
    slots.done.logical_or_(over)


def _best_words(
    slots: Slots, choices: Choices | None, logits: torch.Tensor, lists: Lists, rules: Rules, *, chunked: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The words that may continue each beam, best first: scores and numbers (B, K, C), and ``quoted`` after them."""
    articles, beams, _ = slots.tokens.shape
    count = beams * rules.candidates_per_beam
    scores, quoted = scores_of(logits, slots), None
    if choices is None:
        scores = barred(scores, slots, lists, rules)
    else:
        may_come, quoted = quotes(slots, choices, rules, scores.shape[1])
        scores = barred(scores, slots, lists, rules, free=~choices.quoting)
        may_come = may_come | ~choices.quoting[:, None].expand(-1, beams).reshape(-1, 1)
        scores = scores.masked_fill(~may_come, -torch.inf)
    values, words = top_words(scores, count, chunked=chunked)
    values, words = values.view(articles, beams, count), words.view(articles, beams, count)
    # A token that is certain takes the place of all candidates.
    certain = torch.where(torch.arange(count, device=logits.device) == 0, 0.0, -torch.inf)
    if choices is not None:
        draws = (choices.sampling[:, 0] > 0)[:, None, None]
        word = drawn(scores.view(articles, beams, -1)[:, 0], choices.sampling, slots.length)
        values, words = torch.where(draws, certain, values), torch.where(draws, word[:, None, None], words)
    length = slots.length
    for token, place in ((rules.first_token, length == 1), (rules.last_token, length == slots.max_length - 1)):
        if token is not None:
            values = torch.where(place[:, None, None], certain, values)
            words = words.masked_fill(place[:, None, None], token)
    return values, words, quoted


def _choose(slots: Slots, values: torch.Tensor, words: torch.Tensor, live: torch.Tensor, rules: Rules) -> _Chosen:
    """The best continuations of each slot."""
    articles, _, count = values.shape
    totals = (values + slots.running[:, :, None]).masked_fill(~live[:, :, None], -torch.inf)
    scores, places = _highest(totals.view(articles, -1), count)
    tokens = words.reshape(articles, -1).gather(1, places)
    full = slots.length + 1 >= slots.max_length
    return _Chosen(scores, tokens, places // count, ends_of(tokens, rules.end_tokens) | full[:, None])


def _finish(slots: Slots, chosen: _Chosen, texts: torch.Tensor, live: torch.Tensor, going: torch.Tensor) -> None:
    """Merge the candidates that end into the finished beams, and keep the best."""
    beams, count = live.shape[1], chosen.tokens.shape[1]
    just = chosen.ends & (torch.arange(count, device=live.device) < slots.num_beams[:, None])
    penalized = chosen.scores / slots.spans.gather(1, slots.length[:, None]) + ~just * NEVER
    best, places = _highest(torch.cat([slots.best_scores, penalized], dim=1), beams)
    finished = torch.cat([slots.finished, just], dim=1).gather(1, places)
    keep(slots.best_tokens, _taken(torch.cat([slots.best_tokens, texts], dim=1), places), going)
    keep(slots.best_scores, best.masked_fill(~live, NEVER), going)
    keep(slots.finished, finished & live, going)


def keep(target: torch.Tensor, new: torch.Tensor, going: torch.Tensor) -> None:
    """Write ``new`` into the slots that are not done."""
    target.copy_(torch.where(going.view(-1, *[1] * (new.dim() - 1)), new, target))


def _taken(rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Rows (B, n, ...) at some places (B, m): (B, m, ...)."""
    return rows.gather(1, places[:, :, None].expand(-1, -1, rows.shape[2]))


def _highest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest scores of each slot (B, n), best first, and their places; of equal ones the first."""
    values, places = scores.sort(dim=1, descending=True, stable=True)
    return values[:, :count], places[:, :count]
