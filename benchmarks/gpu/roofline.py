"""The minimum time of each workload on a card, from rates that are measured on it: the larger of two times.

One is the operations over the rate of the matrix units in the format that is used, the other the bytes that must move
over the bandwidth of the memory: each weight once a call, each cached key and value once a step. An operation is a
multiplication or an addition. With width ``d``, inner width ``f``, ``L`` tokens in, vocabulary ``V``, ``B`` articles
and ``K`` beams:

* A layer over all tokens: ``2 B L (4 d^2 + 2 d f)`` operations for its dense products, and ``4 B L^2 d`` for its
  attention (XLNet ``6 B L^2 d``: scores of the relative positions are as many again).
* The keys and values of the cross attention: ``4 B L d^2`` for each decoder layer.
* A step of the decoder with ``t`` tokens so far: weights ``N (8 d^2 + 2 d f) + V d`` less the ``2 N d^2`` of the cross
  keys and values, each read once and used by ``B K`` rows; cached keys and values ``2 N B (L + K t) d`` read once.
* The decoder over a whole text of ``T`` tokens, as in training: ``2 B T`` operations for each of those weights, and
  ``4 B T L d + 2 B T^2 d`` for the attention of a layer (half of the text's own scores are masked).
* A step of training: three times the forward pass, and the layers once more with gradient checkpointing. AdamW then
  reads weights, gradients and both moments, and writes all but the gradients: 28 bytes a weight.

Embeddings, normalisations, softmax, top-k and the search count nothing: the true floor is higher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.common.shapes import Shape

BYTES: Final = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number, by the name of its format."""
_ADAMW_BYTES: Final = 28
"""Bytes that a step of AdamW moves for a weight: seven numbers of fp32."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a card reaches in a second."""

    copy_bytes_per_s: float
    """Bytes read and bytes written of a large copy within its memory."""
    operations_per_s: Mapping[str, float]
    """A large matrix product, by the format of its numbers: ``fp32`` (TF32 off), ``fp16``, ``bf16``."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What must be computed and moved at least."""

    operations: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(operations=self.operations + other.operations, bytes=self.bytes + other.bytes)

    def times(self, count: float) -> Work:
        """So many times the work."""
        return Work(operations=self.operations * count, bytes=self.bytes * count)

    def minimum_ms(self, rates: Rates | None, precision: str) -> float | None:
        """Milliseconds; None where the rates are not known."""
        if rates is None:
            return None
        compute_s = self.operations / rates.operations_per_s[precision]
        return 1e3 * max(compute_s, self.bytes / rates.copy_bytes_per_s)


def layers(shape: Shape, sizes: Mapping[str, int], batch: int, length: int, precision: str) -> Work:
    """All layers over all tokens: an encoder, or a classifier without its head."""
    width, inner, count = sizes[shape.width], sizes[shape.inner], sizes[shape.layers]
    weights = 4 * width**2 + 2 * width * inner
    operations = 2 * batch * length * weights + 2 * shape.products * batch * length**2 * width
    return Work(operations=count * operations, bytes=count * weights * BYTES[precision])


def cross_store(shape: Shape, sizes: Mapping[str, int], batch: int, length: int, precision: str) -> Work:
    """The keys and values of all cross attentions, once for each article."""
    width, count = sizes[shape.width], sizes[shape.decoder_layers]
    stored = 2 * batch * length * width
    return Work(
        operations=count * 4 * batch * length * width**2, bytes=count * (2 * width**2 + stored) * BYTES[precision]
    )


def step(
    shape: Shape, sizes: Mapping[str, int], batch: int, beams: int, length: int, past: int, precision: str
) -> Work:
    """One step of the decoder after ``past`` tokens, the product by the vocabulary included."""
    width, count, rows = sizes[shape.width], sizes[shape.decoder_layers], batch * beams
    weights = count * (6 * width**2 + 2 * width * sizes[shape.decoder_inner]) + sizes[shape.vocabulary] * width
    cached = 2 * count * batch * (length + beams * past) * width
    operations = 2 * rows * weights + 4 * count * rows * (length + past) * width
    return Work(operations=operations, bytes=(weights + cached) * BYTES[precision])


def steps_ms(
    shape: Shape,
    sizes: Mapping[str, int],
    batch: int,
    beams: int,
    length: int,
    tokens_out: int,
    precision: str,
    rates: Rates | None,
) -> float | None:
    """All steps of a summary of ``tokens_out`` tokens: the first is given, so there is one fewer step."""
    times = [
        step(shape, sizes, batch, beams, length, past, precision).minimum_ms(rates, precision)
        for past in range(1, tokens_out)
    ]
    return None if rates is None else sum(time for time in times if time is not None)


def summary_ms(
    shape: Shape,
    sizes: Mapping[str, int],
    batch: int,
    beams: int,
    tokens_in: int,
    tokens_out: int,
    precision: str,
    rates: Rates | None,
) -> float | None:
    """A whole summary: the encoder, the keys and values of the cross attention, then all steps, one after another."""
    encoder = layers(shape, sizes, batch, tokens_in, precision).minimum_ms(rates, precision)
    store = cross_store(shape, sizes, batch, tokens_in, precision).minimum_ms(rates, precision)
    steps = steps_ms(shape, sizes, batch, beams, tokens_in, tokens_out, precision, rates)
    return None if encoder is None or store is None or steps is None else encoder + store + steps


def decoder(shape: Shape, sizes: Mapping[str, int], batch: int, length: int, tokens_out: int, precision: str) -> Work:
    """The decoder's layers over a whole text, without the keys and values of the cross attention."""
    width, count, tokens = sizes[shape.width], sizes[shape.decoder_layers], batch * tokens_out
    weights = count * (6 * width**2 + 2 * width * sizes[shape.decoder_inner])
    attention = count * (4 * tokens * length + 2 * tokens * tokens_out) * width
    return Work(operations=2 * tokens * weights + attention, bytes=weights * BYTES[precision])


def training_ms(
    shape: Shape,
    sizes: Mapping[str, int],
    batch: int,
    tokens_in: int,
    tokens_out: int,
    precision: str,
    rates: Rates | None,
    *,
    parameters: int,
    checkpointing: bool,
) -> float | None:
    """A step of training with AdamW on fp32 weights: the passes, then the optimizer.

    Args:
        shape: The architecture.
        sizes: Its entries of the configuration.
        batch: Articles.
        tokens_in: Tokens of an article.
        tokens_out: Tokens of a text to be learned; 0 for a classifier.
        precision: Of the products.
        rates: What the card reaches.
        parameters: Weights that are trained.
        checkpointing: Whether the layers are computed once more on the way back.
    """
    if rates is None:
        return None
    inside, outside = layers(shape, sizes, batch, tokens_in, precision), Work(operations=0, bytes=0)
    if tokens_out:
        inside += cross_store(shape, sizes, batch, tokens_in, precision)
        inside += decoder(shape, sizes, batch, tokens_in, tokens_out, precision)
        words = sizes[shape.vocabulary] * sizes[shape.width]
        outside = Work(operations=2 * batch * tokens_out * words, bytes=words * BYTES[precision])
    passes = inside.times(4 if checkpointing else 3) + outside.times(3)
    optimizer_ms = 1e3 * _ADAMW_BYTES * parameters / rates.copy_bytes_per_s
    passes_ms = passes.minimum_ms(rates, precision)
    return None if passes_ms is None else passes_ms + optimizer_ms


def times_floor(measured_ms: float, floor_ms: float | None) -> float | None:
    """How many times the minimum a measured time is; None where that is not known."""
    return None if floor_ms is None else measured_ms / floor_ms
