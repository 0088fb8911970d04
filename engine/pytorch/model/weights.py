"""A BART's tensors as the step reads them: products that share an input side by side, the vocabulary padded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch

from engine.settings import Architecture

POSITION_OFFSET: Final = 2
"""The first two rows of BART's position tables are unused; position 0 is the third row."""
VOCABULARY_MULTIPLE: Final = 128
"""The output product has a multiple of so many columns, and more of them than there are words: what falls on a column
beyond the words changes nothing."""


class Dense(NamedTuple):
    """A dense layer."""

    weight: torch.Tensor
    """(outputs, inputs)."""
    bias: torch.Tensor


class Norm(NamedTuple):
    """A layer normalisation."""

    weight: torch.Tensor
    bias: torch.Tensor


class FeedForward(NamedTuple):
    """The second half of a layer."""

    inner: Dense
    outer: Dense
    norm: Norm


class EncoderLayer(NamedTuple):
    """A layer of the encoder."""

    qkv: Dense
    output: Dense
    norm: Norm
    feed_forward: FeedForward


class DecoderLayer(NamedTuple):
    """A layer of the decoder."""

    qkv: Dense
    output: Dense
    norm: Norm
    cross_query: Dense
    cross_output: Dense
    cross_norm: Norm
    feed_forward: FeedForward


class Weights(NamedTuple):
    """All of them, on one device; the norms' too are in the number format of the products."""

    words: torch.Tensor
    """The embedding and, as it is tied, the output product: (padded vocabulary, width)."""
    logits_bias: torch.Tensor
    """FP32 (padded vocabulary,); minus infinity beyond the words."""
    encoder_positions: torch.Tensor
    decoder_positions: torch.Tensor
    encoder_norm: Norm
    decoder_norm: Norm
    encoder: tuple[EncoderLayer, ...]
    decoder: tuple[DecoderLayer, ...]
    cross_keys_values: Dense
    """For all layers of the decoder, the keys and the values of each: (2 * layers * width, width)."""


def load_weights(
    tensors: Mapping[str, torch.Tensor], architecture: Architecture, dtype: torch.dtype, device: str
) -> Weights:
    """Arrange the tensors of a checkpoint.

    Args:
        tensors: By the names of ``BartForConditionalGeneration.state_dict``.
        architecture: Its sizes.
        dtype: Of the weights.
        device: Where they go.

    Raises:
        KeyError: A tensor is missing.
    """

    def put(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().to(device=device, dtype=dtype).contiguous()

    def dense(*names: str) -> Dense:
        weight, bias = (torch.cat([tensors[f"{name}.{part}"] for name in names]) for part in ("weight", "bias"))
        return Dense(put(weight), put(bias))

    def norm(name: str) -> Norm:
        return Norm(put(tensors[f"{name}.weight"]), put(tensors[f"{name}.bias"]))

    words = tensors["model.shared.weight"]
    missing = VOCABULARY_MULTIPLE - len(words) % VOCABULARY_MULTIPLE
    bias = tensors["final_logits_bias"].reshape(-1).float()
    positions = {
        side: put(tensors[f"model.{side}.embed_positions.weight"][POSITION_OFFSET:]) for side in ("encoder", "decoder")
    }
    return arranged(
        architecture,
        dense,
        norm,
        words=put(torch.cat([words, words.new_zeros(missing, words.shape[1])])),
        logits_bias=torch.cat([bias, bias.new_full((missing,), -torch.inf)]).to(device),
        encoder_positions=positions["encoder"],
        decoder_positions=positions["decoder"],
    )


def arranged(
    architecture: Architecture,
    dense: Callable[..., Dense],
    norm: Callable[[str], Norm],
    *,
    words: torch.Tensor,
    logits_bias: torch.Tensor,
    encoder_positions: torch.Tensor,
    decoder_positions: torch.Tensor,
) -> Weights:
    """Weights out of any store of tensors.

    Args:
        architecture: The sizes of the model.
        dense: Reads dense layers, which are given by their names in a checkpoint, side by side.
        norm: Reads a normalisation.
        words: As `Weights` has it.
        logits_bias: Likewise.
        encoder_positions: Likewise.
        decoder_positions: Likewise.
    """

    def feed_forward(layer: str) -> FeedForward:
        return FeedForward(dense(f"{layer}.fc1"), dense(f"{layer}.fc2"), norm(f"{layer}.final_layer_norm"))

    def attention(layer: str) -> tuple[Dense, Dense, Norm]:
        block = f"{layer}.self_attn"
        qkv = dense(*(f"{block}.{part}_proj" for part in "qkv"))
        return qkv, dense(f"{block}.out_proj"), norm(f"{layer}.self_attn_layer_norm")

    def decoder_layer(layer: str) -> DecoderLayer:
        query, output = (dense(f"{layer}.encoder_attn.{part}_proj") for part in ("q", "out"))
        cross_norm = norm(f"{layer}.encoder_attn_layer_norm")
        return DecoderLayer(*attention(layer), query, output, cross_norm, feed_forward(layer))

    def cross_keys_values(layer: str) -> Dense:
        return dense(*(f"{layer}.encoder_attn.{part}_proj" for part in "kv"))

    encoder = [f"model.encoder.layers.{i}" for i in range(architecture.encoder_layers)]
    decoder = [f"model.decoder.layers.{i}" for i in range(architecture.decoder_layers)]
    return Weights(
        words=words,
        logits_bias=logits_bias,
        encoder_positions=encoder_positions,
        decoder_positions=decoder_positions,
        encoder_norm=norm("model.encoder.layernorm_embedding"),
        decoder_norm=norm("model.decoder.layernorm_embedding"),
        encoder=tuple(EncoderLayer(*attention(layer), feed_forward(layer)) for layer in encoder),
        decoder=tuple(decoder_layer(layer) for layer in decoder),
        cross_keys_values=Dense(*map(torch.cat, zip(*map(cross_keys_values, decoder), strict=True))),
    )
