"""BART's encoder, and one step of its decoder over static caches.

The beams of an article are paths in one tree. A key and a value stay where they were written, at node ``(t - 1) K + k``
for the token that beam ``k`` chose in step ``t``, and each beam has a mask of the nodes on its path; when a beam
continues another one, its mask is copied, no cache is. All beams of an article are the queries of one attention, so the
article's keys and values are read once and not once for each beam.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``S`` tokens of an article, ``N`` nodes, ``H`` heads of size ``D``,
width ``W = H D``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch.nn.attention import SDPBackend, sdpa_kernel

from .search import Slots
from .settings import ACTIVATIONS, Architecture, Bucket
from .weights import DecoderLayer, Dense, EncoderLayer, FeedForward, Norm, Weights

ATTENTION: Final[Mapping[str, list[SDPBackend] | None]] = {
    "efficient": [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
    "cudnn": [SDPBackend.CUDNN_ATTENTION],
    "products": None,
}
"""What computes the decoder's attention, by name: kernels that PyTorch may choose from, or None for two products. Left
to itself it would take cuDNN's, and fall back to no other where that fails."""
_EPSILON: Final = 1e-5


class Caches(NamedTuple):
    """Keys and values, for each layer of the decoder."""

    keys: tuple[torch.Tensor, ...]
    """(B, H, N, D), written by the steps."""
    values: tuple[torch.Tensor, ...]
    cross_keys: tuple[torch.Tensor, ...]
    """(B, H, S, D), written once for an article."""
    cross_values: tuple[torch.Tensor, ...]
    cross_bias: torch.Tensor
    """(B, 1, K, S): 0 where an article has a token, minus infinity where it is padded. The same for all beams, and
    stored for each, since not every kernel is known to read one row for all."""


def make_caches(architecture: Architecture, bucket: Bucket, dtype: torch.dtype, device: str) -> Caches:
    """Caches of zeros: a masked place must hold a number, since zero times NaN is NaN."""
    heads, layers = architecture.decoder_heads, range(architecture.decoder_layers)
    size = architecture.width // heads

    def zeros(length: int) -> tuple[torch.Tensor, ...]:
        shape = (bucket.slots, heads, length, size)
        return tuple(torch.zeros(shape, dtype=dtype, device=device) for _ in layers)

    source = bucket.source_length
    bias = torch.zeros(bucket.slots, 1, bucket.beams, source, dtype=dtype, device=device)
    return Caches(zeros(bucket.nodes), zeros(bucket.nodes), zeros(source), zeros(source), bias)


def bias_of(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores of attention: 0 where the mask is set, else minus infinity."""
    zero, hidden = seen.new_zeros((), dtype=dtype), seen.new_full((), -torch.inf, dtype=dtype)
    return torch.where(seen, zero, hidden)


def attention(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor, kernels: str
) -> torch.Tensor:
    """Attention of a few queries to many keys.

    Args:
        query: (B, H, K, D).
        keys: (B, H, N, D).
        values: Likewise.
        bias: Added to the scores, (B, 1, K, N).
        kernels: A key of `ATTENTION`.

    Returns:
        (B, H, K, D).
    """
    backends = ATTENTION[kernels]
    if backends is not None:
        with sdpa_kernel(backends):
            return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
    # One fused kernel has a block of threads for each head of each article, which are few; two products have more.
    scores = torch.matmul(query * query.shape[-1] ** -0.5, keys.transpose(2, 3))
    return torch.matmul(torch.softmax(scores.float() + bias, dim=-1).to(values.dtype), values)


def dense(x: torch.Tensor, layer: Dense) -> torch.Tensor:
    """A dense layer."""
    return F.linear(x, layer.weight, layer.bias)


def add_norm(x: torch.Tensor, skip: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Residual connection and layer normalisation; the mean and the variance are taken in fp32."""
    return F.layer_norm(x + skip, (x.shape[-1],), norm.weight, norm.bias, _EPSILON)


def feed_forward(
    x: torch.Tensor, layer: FeedForward, activation: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """The second half of a layer."""
    return add_norm(dense(activation(dense(x, layer.inner)), layer.outer), x, layer.norm)


def embed(
    tokens: torch.Tensor, positions: torch.Tensor, words: torch.Tensor, norm: Norm, architecture: Architecture
) -> torch.Tensor:
    """Token ids and the vectors of their positions to a hidden state."""
    x = F.embedding(tokens, words)
    if architecture.scale_embedding:
        x = x * architecture.width**0.5
    return add_norm(x, positions, norm)


def encode(
    ids: torch.Tensor,
    mask: torch.Tensor,
    weights: Weights,
    architecture: Architecture,
    layer_call: Callable[..., torch.Tensor],
    kernels: str,
) -> torch.Tensor:
    """The encoder.

    Args:
        ids: INT64 (B, S).
        mask: INT64 (B, S); 0 where the article is padded.
        weights: Of the model.
        architecture: Its sizes.
        layer_call: `encoder_layer`, or the same compiled.
        kernels: A key of `ATTENTION`.

    Returns:
        (B, S, W).
    """
    seen = bias_of(mask.bool()[:, None, None], weights.words.dtype).expand(-1, -1, ids.shape[1], -1).contiguous()
    x = embed(ids, weights.encoder_positions[: ids.shape[1]], weights.words, weights.encoder_norm, architecture)
    for layer in weights.encoder:
        x = layer_call(x, layer, seen, architecture, kernels)
    return x


def encoder_layer(
    x: torch.Tensor, layer: EncoderLayer, seen: torch.Tensor, architecture: Architecture, kernels: str
) -> torch.Tensor:
    """A layer of the encoder: (B, S, W) to (B, S, W); ``seen`` is the bias of the padding, (B, 1, S, S)."""
    batch, length, width = x.shape
    parts = dense(x, layer.qkv).view(batch, length, 3, architecture.encoder_heads, -1).permute(2, 0, 3, 1, 4)
    # Products of all positions would store all scores, which the kernels need not.
    backends = ATTENTION[kernels] or ATTENTION["efficient"]
    with sdpa_kernel(backends):
        context = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen)
    context = context.transpose(1, 2).reshape(batch, length, width)
    x = add_norm(dense(context, layer.output), x, layer.norm)
    return feed_forward(x, layer.feed_forward, ACTIVATIONS[architecture.activation])


def store_article(
    hidden: torch.Tensor, mask: torch.Tensor, caches: Caches, weights: Weights, architecture: Architecture
) -> None:
    """Write an article's keys and values of all cross attentions into its slot.

    Args:
        hidden: What `encode` returns.
        mask: As `encode` takes it.
        caches: Changed in place.
        weights: Of the model.
        architecture: Its sizes.
    """
    batch, length, _ = hidden.shape
    for layer, keys, values in zip(weights.cross_keys_values, caches.cross_keys, caches.cross_values, strict=True):
        both = dense(hidden, layer).view(batch, length, 2, architecture.decoder_heads, -1).permute(2, 0, 3, 1, 4)
        keys.copy_(both[0])
        values.copy_(both[1])
    caches.cross_bias.copy_(bias_of(mask.bool()[:, None, None], caches.cross_bias.dtype))


def newest(
    slots: Slots, weights: Weights, architecture: Architecture
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """What a step begins with.

    Args:
        slots: The searches; each beam's own newest node becomes visible to it.
        weights: Of the model.
        architecture: Its sizes.

    Returns:
        The hidden state of each beam's newest token (R, W); the places of its keys and values, slots (B, 1) and nodes
        (B, K); and the bias of the tree (B, 1, K, N).
    """
    articles, beams, _ = slots.tokens.shape
    device = slots.tokens.device
    at = (slots.length - 1)[:, None]
    nodes = at * beams + torch.arange(beams, device=device)
    slots.visible.scatter_(2, nodes[:, :, None], True)
    tokens = slots.tokens.gather(2, at[:, :, None].expand(-1, beams, 1))[:, :, 0]
    x = embed(tokens, weights.decoder_positions[at], weights.words, weights.decoder_norm, architecture)
    places = torch.arange(articles, device=device)[:, None], nodes
    return x.view(articles * beams, -1), places, bias_of(slots.visible[:, None], x.dtype)


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
