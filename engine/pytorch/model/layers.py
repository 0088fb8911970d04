"""What encoder and decoder are made of: attention, dense layers, norms, embeddings.

Shapes: ``B`` slots, ``K`` beams, ``N`` places of keys and values, ``H`` heads of size ``D``, width ``W = H D``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.settings import Architecture

from .weights import Dense, FeedForward, Norm

ACTIVATIONS: Final[Mapping[str, Callable[[torch.Tensor], torch.Tensor]]] = {"gelu": F.gelu, "relu": F.relu}
"""By the names of `engine.settings.ACTIVATIONS`."""
ATTENTION: Final[Mapping[str, list[SDPBackend] | None]] = {
    "efficient": [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
    "cudnn": [SDPBackend.CUDNN_ATTENTION],
    "products": None,
}
"""What computes the decoder's attention, by name: kernels that PyTorch may choose from, or None for two products. Left
to itself it would take cuDNN's, and fall back to no other where that fails."""
_EPSILON: Final = 1e-5


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
