"""BART's encoder, and what it leaves in the slots of its articles: keys and values of all cross attentions.

Shapes: ``B`` articles that are read together, ``S`` tokens of an article, ``H`` heads of size ``D``, width ``W = H D``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch.nn.attention import sdpa_kernel

from engine.settings import Architecture

from .decoder import Caches, wide
from .layers import ACTIVATIONS, ATTENTION, add_norm, bias_of, dense, embed, feed_forward
from .weights import EncoderLayer, Weights


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
        ids: INT64 (B, S); more than a window of tokens are a multiple of it.
        mask: BOOL (B, S); not set where the article is padded.
        weights: Of the model.
        architecture: Its sizes.
        layer_call: `encoder_layer`, or the same compiled.
        kernels: A key of `ATTENTION`.

    Returns:
        (B, S, W).
    """
    articles, length = ids.shape
    size = min(architecture.window, length) if architecture.window else length
    ids, mask = (tensor.reshape(-1, size) for tensor in (ids, mask))
    bias = bias_of(seen(mask)[:, None, None], weights.words.dtype).expand(-1, -1, size, -1).contiguous()
    x = embed(ids, weights.encoder_positions[:size], weights.words, weights.encoder_norm, architecture)
    for layer in weights.encoder:
        x = layer_call(x, layer, bias, architecture, kernels)
    return x.reshape(articles, length, -1)


def seen(mask: torch.Tensor) -> torch.Tensor:
    """The tokens that others attend to, BOOL (B, S): the first one where there is none.

    Attention over none is not a number.
    """
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    return mask | (first & ~mask.any(dim=1, keepdim=True))


def encoder_layer(
    x: torch.Tensor, layer: EncoderLayer, bias: torch.Tensor, architecture: Architecture, kernels: str
) -> torch.Tensor:
    """A layer of the encoder: (B, S, W) to (B, S, W); ``bias`` is that of the padding, (B, 1, S, S)."""
    batch, length, width = x.shape
    parts = dense(x, layer.qkv).view(batch, length, 3, architecture.encoder_heads, -1).permute(2, 0, 3, 1, 4)
    # Products of all positions would store all scores, which the kernels need not.
    backends = ATTENTION[kernels] or ATTENTION["efficient"]
    with sdpa_kernel(backends):
        context = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=bias)
    context = context.transpose(1, 2).reshape(batch, length, width)
    x = add_norm(dense(context, layer.output), x, layer.norm)
    return feed_forward(x, layer.feed_forward, ACTIVATIONS[architecture.activation])


def store_articles(
    hidden: torch.Tensor,
    mask: torch.Tensor,
    caches: Caches,
    weights: Weights,
    slots: torch.Tensor,
) -> None:
    """Write the keys and values of all cross attentions into the slots of the articles.

    Places beyond an article are written too: what an earlier one has left there may be no number, and what is masked
    still counts where it is none. So are the caches of the steps, for the same reason.

    Args:
        hidden: What `encode` returns.
        mask: As `encode` takes it.
        caches: Changed in place.
        weights: Of the model.
        slots: INT64 (B,).
    """
    layers, _, _, heads, room, size = caches.cross.shape
    hidden, mask = hidden[:, :room], mask[:, :room]
    batch, length, _ = hidden.shape
    # All layers in one product, and in one copy.
    written = dense(hidden, weights.cross_keys_values).view(batch, length, layers, 2, heads, size)
    cross = wide(caches.cross)
    cross[..., :length, :].index_copy_(2, slots, wide(written).permute(2, 3, 0, 4, 1, 5))
    if length < room:
        cross[..., length:, :].index_fill_(2, slots, 0)
    bias = bias_of(F.pad(seen(mask), (0, room - length))[:, None, None], caches.cross_bias.dtype)
    caches.cross_bias.index_copy_(0, slots, bias.expand(-1, -1, caches.cross_bias.shape[2], -1))
    wide(caches.past).index_fill_(2, slots, 0)
