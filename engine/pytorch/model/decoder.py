"""One step of BART's decoder over static caches.

The beams of an article are paths in one tree. A key and a value stay where they were written, at node ``(t - 1) K + k``
for the token that beam ``k`` chose in step ``t``, and each beam has a mask of the nodes on its path; when a beam
continues another one, its mask is copied, no cache is. All beams of an article are the queries of one attention, so the
article's keys and values are read once and not once for each beam.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``S`` tokens of an article, ``N`` nodes, ``H`` heads of size ``D``,
width ``W = H D``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from engine.pytorch.search.slots import Slots
from engine.settings import Architecture, Bucket

from .layers import add_norm, attention, bias_of, dense, embed, feed_forward
from .weights import DecoderLayer, Weights


class Caches(NamedTuple):
    """Keys and values of ``L`` layers of the decoder, [0] the keys and [1] the values of each."""

    past: torch.Tensor
    """(L, 2, B, H, N, D), written by the steps."""
    cross: torch.Tensor
    """(L, 2, B, H, S, D), written once for an article."""
    cross_bias: torch.Tensor
    """(B, 1, K, S): 0 where an article has a token, minus infinity where it is padded. The same for all beams, and
    stored for each, since not every kernel is known to read one row for all."""

    @property
    def layers(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """For each layer what `decoder_layer` takes: keys, values, and those of the cross attention."""
        return [(*past, *cross) for past, cross in zip(self.past, self.cross, strict=True)]

    def first(self, slots: int) -> Caches:
        """The same of the first slots alone."""
        return Caches(self.past[:, :, :slots], self.cross[:, :, :slots], self.cross_bias[:slots])

    def move(self, source: int, target: int) -> None:
        """Copy a slot."""
        for cache in (wide(self.past), wide(self.cross)):
            cache[:, :, target].copy_(cache[:, :, source])
        self.cross_bias[target].copy_(self.cross_bias[source])


def make_caches(architecture: Architecture, bucket: Bucket, dtype: torch.dtype, device: str) -> Caches:
    """Caches of zeros: a masked place must hold a number, since zero times NaN is NaN."""
    heads = architecture.decoder_heads

    def zeros(length: int) -> torch.Tensor:
        shape = (architecture.decoder_layers, 2, bucket.slots, heads, length, architecture.width // heads)
        return torch.zeros(shape, dtype=dtype, device=device)

    bias = torch.zeros(bucket.slots, 1, bucket.beams, bucket.source_length, dtype=dtype, device=device)
    return Caches(zeros(bucket.nodes), zeros(bucket.source_length), bias)


def wide(cache: torch.Tensor) -> torch.Tensor:
    """The same memory in numbers of 8 bytes where its vectors are made of such: a copy needs as many fewer threads."""
    whole = cache.shape[-1] * cache.element_size() % torch.int64.itemsize == 0
    return cache.view(torch.int64) if whole else cache


def nodes_of(slots: Slots) -> torch.Tensor:
    """The nodes of each beam's newest token, INT64 (B, K)."""
    _, beams, _ = slots.tokens.shape
    return (slots.length - 1)[:, None] * beams + torch.arange(beams, device=slots.tokens.device)


def seen_of(slots: Slots) -> torch.Tensor:
    """The nodes that each beam sees, its own newest one too, BOOL (B, K, N)."""
    return slots.visible.scatter(2, nodes_of(slots)[:, :, None], True)


def newest(
    slots: Slots, weights: Weights, architecture: Architecture
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor, torch.Tensor]:
    """What a step begins with.

    Args:
        slots: The searches.
        weights: Of the model.
        architecture: Its sizes.

    Returns:
        The hidden state of each beam's newest token (R, W); the places of its keys and values, slots (B, 1) and nodes
        (B, K); the nodes that each beam sees, its own newest one too, BOOL (B, K, N); and their bias (B, 1, K, N).
    """
    articles, beams, _ = slots.tokens.shape
    device = slots.tokens.device
    at, nodes, seen = (slots.length - 1)[:, None], nodes_of(slots), seen_of(slots)
    x = embed(slots.newest, weights.decoder_positions[at], weights.words, weights.decoder_norm, architecture)
    places = torch.arange(articles, device=device)[:, None], nodes
    return x.view(articles * beams, -1), places, seen, bias_of(seen[:, None], x.dtype)


def decoder_layer(
    x: torch.Tensor,
    layer: DecoderLayer,
    caches: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    places: tuple[torch.Tensor, torch.Tensor],
    seen: torch.Tensor,
    cross_seen: torch.Tensor,
    activation: Callable[[torch.Tensor], torch.Tensor],
    kernels: str,
) -> torch.Tensor:
    """A layer of one step of the decoder.

    Args:
        x: The hidden state of each beam's newest token, (R, W).
        layer: Its weights.
        caches: Keys, values, and those of the cross attention, of this layer; the first two are written.
        places: Where: slots (B, 1) and nodes (B, K).
        seen: The bias of the tree, (B, 1, K, N).
        cross_seen: The bias of the padding, (B, 1, K, S).
        activation: Between the two products of the second half.
        kernels: A key of `ATTENTION`.

    Returns:
        (R, W).
    """
    keys, values, cross_keys, cross_values = caches
    slots, heads, _, size = keys.shape
    rows, width = x.shape
    beams = rows // slots
    parts = dense(x, layer.qkv).view(slots, beams, 3, heads, size)
    keys[places[0], :, places[1]] = parts[:, :, 1]
    values[places[0], :, places[1]] = parts[:, :, 2]
    query = parts[:, :, 0].transpose(1, 2)
    context = attention(query, keys, values, seen, kernels)
    x = add_norm(dense(context.transpose(1, 2).reshape(rows, width), layer.output), x, layer.norm)
    query = dense(x, layer.cross_query).view(slots, beams, heads, size).transpose(1, 2)
    context = attention(query, cross_keys, cross_values, cross_seen, kernels)
    x = add_norm(dense(context.transpose(1, 2).reshape(rows, width), layer.cross_output), x, layer.cross_norm)
    return feed_forward(x, layer.feed_forward, activation)


def logits_of(x: torch.Tensor, weights: Weights, *, wide: bool) -> torch.Tensor:
    """The scores of all words, FP32 (R, padded vocabulary); minus infinity beyond the words.

    Args:
        x: The last layer's output, (R, W).
        weights: Of the model.
        wide: Whether the device adds up and returns products of 16-bit numbers in fp32; rounded to 16 bits, many
            words have the same score.
    """
    words = weights.words.t()
    product = torch.mm(x, words, out_dtype=torch.float32) if wide else torch.mm(x, words).float()
    return product + weights.logits_bias
