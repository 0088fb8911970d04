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


def choice_loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: Any = None,
    *,
    pairs: torch.Tensor,
    reference_words: torch.Tensor,
    pair_weight: float,
    length_weight: float,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """What a head that chooses sentences is trained by: which words and pairs of words are in the reference summary.

    It is the mean binary cross entropy of the words, the same of the pairs times ``pair_weight``, and the mean squared
    error of the logarithm of the summary's length times ``length_weight``. The parts of batches are put together by how
    many words they have.

    Args:
        outputs: ``logits`` (B, L, 2) and ``length`` (B,), as a `training.models.choice.ChoiceOutput` has them.
        labels: Whether the word that begins at a token is in the reference, 1 or 0, and -100 where none begins; (B, L).
        num_items_in_batch: The words of all workers and batches of a step; by default those of ``labels``.
        pairs: The same as ``labels`` for each word and the one before it, (B, L).
        reference_words: The words of each reference, (B,); 0 where it is none whose length counts.
        pair_weight: See above.
        length_weight: See above.
        weights: As in `soft_cross_entropy`, (B,); they are 1 on average over the words of the training split.
    """
    logits = outputs.logits.float()
    every = torch.ones(len(labels), device=logits.device) if weights is None else weights

    def mean(part: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        counts = targets != -100
        values = functional.binary_cross_entropy_with_logits(part, targets.clamp(min=0).to(part), reduction="none")
        return (values * counts * every[:, None]).sum() / counts.sum().clamp(min=1)

    known = reference_words > 0
    errors = (outputs.length.float() - reference_words.clamp(min=1).log()) ** 2 * known * every
    total = mean(logits[..., 0], labels) + pair_weight * mean(logits[..., 1], pairs)
    total = total + length_weight * errors.sum() / known.sum().clamp(min=1)
    words = (labels != -100).sum()
    return total if num_items_in_batch is None else total * words / num_items_in_batch


def summary_loss(
    outputs: Any,
    labels: torch.Tensor,
    num_items_in_batch: Any = None,
    *,
    pair_weight: float,
    length_weight: float,
    **batch: torch.Tensor,
) -> torch.Tensor:
    """The loss of a summarizer's batch: `choice_loss` where it has ``pairs``, else `token_cross_entropy`."""
    if "pairs" not in batch:
        return token_cross_entropy(outputs, labels, num_items_in_batch, **batch)
    parts = {"pair_weight": pair_weight, "length_weight": length_weight}
    return choice_loss(outputs, labels, num_items_in_batch, **parts, **batch)
