"""What is minimized, over all workers and in all batches of a step alike."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def soft_cross_entropy(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean cross entropy of logits (B, classes) against target distributions (B, classes), over all workers.

    With ``weights`` (B,) an article's part is multiplied by its own; they are 1 on average over the training split
    (`batches.even_weights`), so the sum is divided by what it is divided by without.
    """
    count = labels.numel() if num_items_in_batch is None else num_items_in_batch
    targets = labels if weights is None else labels * weights[:, None]  # it is linear in the targets
    total = functional.cross_entropy(outputs.logits.float(), targets, reduction="sum")
    return total * labels.shape[-1] / count


def token_cross_entropy(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean cross entropy of logits (B, T, V) against token ids (B, T), over the tokens of all workers.

    ``weights`` (B,) as in `soft_cross_entropy`; they are 1 on average over the tokens of the training split.
    """
    count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
    logits, how = outputs.logits.float().flatten(0, 1), "sum" if weights is None else "none"
    losses = functional.cross_entropy(logits, labels.flatten(), ignore_index=-100, reduction=how)
    if weights is not None:
        losses = (losses.view_as(labels) * weights[:, None]).sum()
    return losses / count
