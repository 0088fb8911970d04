"""Attention over stored int8 keys and values: the cross attention of a beam search.

Every step of a search reads the keys and values of the whole article, and in fp32 they weigh as much as the decoder's
int8 weights. Here they are quantized once for each article, with one scale for each head and position, so an article's
answer does not depend on its neighbours in the batch. The scale of a key goes into its score; that of a value into
its probability, before the probabilities are quantized in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import TensorProto, numpy_helper

from .graph import Graph

_INT8_MAX: Final = 127
_UINT8_MAX: Final = 255
_UINT8_MIDDLE: Final = 128


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Names of the tensors of one layer, all of the outer graph."""

    keys: str
    """INT8 (batch, heads, head size, length)."""
    key_scales: str
    """FLOAT (batch, heads, 1, length)."""
    values: str
    """INT8 (batch, heads, length, head size)."""
    value_scales: str
    """FLOAT (batch, heads, 1, length)."""


def store(graph: Graph, both: str) -> Stored:
    """Quantize the keys and values of a layer: ``both`` is FLOAT (batch, length, 2, heads, head size)."""
    magnitude = graph.one("ReduceMax", graph.one("Abs", both), axes=[-1], keepdims=1)
    scale = graph.one("Mul", magnitude, graph.weights.constant(1 / _INT8_MAX, np.float32))
    integers = graph.add("Split", [_rows_to_integers(graph, both, scale, 0, np.int8)], outputs=2, axis=2)
    scales = graph.add("Split", [scale], outputs=2, axis=2)
    keys, values, key_scales, value_scales = (
        graph.one("Squeeze", part, graph.ints([2])) for part in (*integers, *scales)
    )
    return Stored(
        keys=graph.one("Transpose", keys, perm=[0, 2, 3, 1]),
        key_scales=graph.one("Transpose", key_scales, perm=[0, 2, 3, 1]),
        values=graph.one("Transpose", values, perm=[0, 2, 1, 3]),
        value_scales=graph.one("Transpose", value_scales, perm=[0, 2, 3, 1]),
    )


def mask_bias(graph: Graph, mask: str) -> str:
    """What is added to the scores: FLOAT (batch, 1, 1, length), 0 where ``mask`` (batch, length) is 1, else -1e30."""
    empty = graph.one("Equal", mask, graph.weights.constant(0, np.int32))
    lowest, zero = graph.weights.constant(-1e30, np.float32), graph.weights.constant(0.0, np.float32)
    return graph.one("Unsqueeze", graph.one("Where", empty, lowest, zero), graph.ints([1, 2]))


def attend(graph: Graph, query: str, stored: Stored, bias: str) -> str:
    """Attend from the scaled ``query`` (batch, heads, beams, head size): FLOAT of the same shape."""
    weights = graph.weights
    magnitude = graph.one("ReduceMax", graph.one("Abs", query), axes=[-1], keepdims=1)
    scale = graph.one("Mul", magnitude, weights.constant(1 / _INT8_MAX, np.float32))
    middle = weights.constant(_UINT8_MIDDLE, np.uint8)
    quantized = _rows_to_integers(graph, query, scale, _UINT8_MIDDLE, np.uint8)
    products = graph.one("Cast", graph.one("MatMulInteger", quantized, stored.keys, middle), to=TensorProto.FLOAT)
    scores = graph.one("Mul", graph.one("Mul", products, stored.key_scales), scale)
    probabilities = graph.one("Softmax", graph.one("Add", scores, bias), axis=-1)

    weighted = graph.one("Mul", probabilities, stored.value_scales)
    peak = graph.one("ReduceMax", weighted, axes=[-1], keepdims=1)
    scale = graph.one("Mul", peak, weights.constant(1 / _UINT8_MAX, np.float32))
    quantized = _rows_to_integers(graph, weighted, scale, 0, np.uint8)
    products = graph.one("Cast", graph.one("MatMulInteger", quantized, stored.values), to=TensorProto.FLOAT)
    return graph.one("Mul", products, scale)


def _rows_to_integers(graph: Graph, x: str, scale: str, zero_point: int, dtype: type[np.int8 | np.uint8]) -> str:
    """Quantize each row of ``x`` (..., size) by its own ``scale`` (..., 1); the result has the shape of ``x``."""
    shape = graph.one("Shape", x)
    last = graph.one("Slice", shape, graph.ints([-1]), graph.ints([np.iinfo(np.int64).max]))
    flat = graph.one("Reshape", x, graph.one("Concat", graph.ints([-1]), last, axis=0))
    scales = graph.reshape(scale, [-1])
    middle = numpy_helper.from_array(np.array([zero_point], dtype))
    zero_points = graph.one("ConstantOfShape", graph.one("Shape", scales), value=middle)
    return graph.one("Reshape", graph.one("QuantizeLinear", flat, scales, zero_points, axis=0), shape)
