"""Quotes: every token continues a sentence of the article, or begins one, or ends the summary.

After the tokens that every summary has, a sentence begins, and after a sentence another one or the end. A sentence
begins only if it and the end still fit and no sentence with the same tokens has been written; if none fits at the
start, the first one begins nevertheless, and is cut. Where the tokens so far are a whole sentence and the beginning of
a longer one, the next token continues the longer one if it can, and the shorter one counts as written. The end comes
when the summary is long enough, or nothing more can come.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``S`` places of an article, ``V`` words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

from engine.settings import Rules
from engine.tensors import MAY_FOLLOW, USED

from .slots import Choices, Slots


def quotes(slots: Slots, choices: Choices, rules: Rules, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What may come next.

    Args:
        slots: The searches.
        choices: What they may quote, and how much of it they have.
        rules: Of the checkpoint.
        columns: The size of the padded vocabulary.

    Returns:
        The words that may come, BOOL (R, columns), and ``quoted`` after this step, INT64 (B, K, S).
    """
    articles, beams, _ = slots.tokens.shape
    places = choices.quote_ends.shape[1]
    length = slots.length[:, None, None]
    starts, lasts = choices.quote_starts[:, None], choices.quote_lasts[:, None]
    at_start = length == rules.before

    # The newest token is one of those that could come.
    could = choices.quoted == MAY_FOLLOW
    matched = could & (_forms(choices, length == rules.before + 1) == slots.newest[:, :, None])
    continues = _any(matched & ~starts)
    position = matched & ~(starts & continues)
    ended = position & lasts
    used = (choices.quoted == USED) | ended
    boundary = _any(ended) | at_start

    # What may come now.
    inside = position & ~lasts
    following = F.pad(inside[:, :, :-1], (1, 0))
    order = torch.arange(places, device=length.device)
    # The sentence and the end, after `length` other tokens.
    ends = choices.quote_ends[:, None]
    fits = ends - order + length + 1 < slots.max_length[:, None, None]
    taken = used.gather(2, ends.clamp(0, places - 1).expand(-1, beams, -1))
    begins = starts & fits & ~taken & boundary
    opening = order == torch.where(starts, order, places).amin(dim=2, keepdim=True)
    begins = begins | (starts & opening & at_start & ~_any(begins))
    allowed = following | begins
    nothing = ~_any(allowed)
    enough = ((length >= slots.min_length[:, None, None]) & ~at_start) | nothing
    may_end = boundary & enough

    beyond = columns - 1
    index = [torch.where(allowed, _forms(choices, at_start), beyond)]
    index += [torch.where(may_end, token, beyond) for token in rules.end_tokens]
    may_come = torch.zeros(articles * beams, columns, dtype=torch.bool, device=length.device)
    may_come = may_come.scatter(1, torch.cat(index, dim=2).view(articles * beams, -1), True)
    after = torch.where(allowed, MAY_FOLLOW, torch.where(used, USED, 0))
    return may_come, after


def _forms(choices: Choices, opens: torch.Tensor) -> torch.Tensor:
    """The token that each place brings to a summary, INT64 (B, 1, S); ``opens`` BOOL (B, 1, 1) where it begins."""
    return torch.where(opens, choices.quote_tokens[:, :1], choices.quote_tokens[:, 1:])


def _any(flags: torch.Tensor) -> torch.Tensor:
    """Whether any flag of a beam is set: BOOL (B, K, 1)."""
    return flags.any(dim=2, keepdim=True)
