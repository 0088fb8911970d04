"""Samples: the word that a number of the host stands for; the source of the nucleus is arXiv:1904.09751."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

_LEAST: Final = -1e30


def drawn(scores: torch.Tensor, sampling: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """One word by its probability.

    Args:
        scores: Of the words, FP32 (B, more than V); minus infinity for those that must not come.
        sampling: As `engine.tensors.CHOICES` has it, FP32 (B, n).
        length: Tokens so far, INT64 (B,).

    Returns:
        INT64 (B,); of a slot that is not drawn any word.
    """
    temperature, top_p = sampling[:, :1], sampling[:, 1:2]
    # A row of nothing but minus infinity has no probabilities.
    divided = (scores / torch.where(temperature > 0, temperature, 1.0)).clamp(min=_LEAST)
    odds, order = torch.softmax(divided, dim=-1).sort(dim=-1, descending=True, stable=True)
    before = F.pad(odds.cumsum(-1)[:, :-1], (1, 0))
    kept = torch.where(before < top_p, odds, 0.0)
    target = kept.sum(-1, keepdim=True) * sampling.gather(1, length[:, None] + 1)
    likely = kept > 0
    passed = likely & (kept.cumsum(-1) <= target)
    place = torch.minimum(passed.sum(-1, keepdim=True), likely.sum(-1, keepdim=True) - 1)
    return order.gather(1, place.clamp(min=0))[:, 0]
