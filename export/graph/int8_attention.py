"""Attention over stored int8 keys and values: the cross attention of a beam search.

Every step of a search reads the keys and values of the whole article, and in fp32 they are as large as the decoder's
int8 weights. Here they are quantized once for each article, with one scale for each head and position, so an article's
answer does not depend on its neighbours in the batch. The scale of a key goes into its score; that of a value into
its probability, before the probabilities are quantized in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto, numpy_helper

from .graph import UINT8_MIDDLE, Graph
from .initializers import INT8_MAX

_UINT8_MAX: Final = 255


def store(graph: Graph, both: str, outputs: Sequence[str]) -> None:
    """Quantize the keys and values of a layer.

    Args:
        graph: Where the nodes go.
        both: FLOAT (batch, length, 2, heads, head size).
        outputs: Names of the keys INT8 (batch, heads, head size, length), their scales FLOAT (batch, heads, 1,
            length), the values INT8 (batch, heads, length, head size) and their scales FLOAT (batch, heads, 1, length).
    """
    quantized, scale = _quantize(graph, both, graph.one("Abs", both), INT8_MAX, np.int8(0))
    integers = graph.add("Split", [quantized], outputs=2, axis=2)
    scales = graph.add("Split", [scale], outputs=2, axis=2)
    parts = (integers[0], scales[0], integers[1], scales[1])
    orders = ([0, 2, 3, 1], [0, 2, 3, 1], [0, 2, 1, 3], [0, 2, 3, 1])
    for part, order, output in zip(parts, orders, outputs, strict=True):
        graph.one("Transpose", graph.one("Squeeze", part, graph.ints([2])), perm=order, output=output)


def mask_bias(graph: Graph, mask: str) -> str:
    """The bias of the scores: FLOAT (batch, 1, 1, length), 0 where ``mask`` (batch, length) is 1, else -1e30."""
    empty = graph.one("Equal", mask, graph.initializers.constant(0, np.int32))
    lowest, zero = graph.initializers.constant(-1e30, np.float32), graph.initializers.constant(0.0, np.float32)
    return graph.one("Unsqueeze", graph.one("Where", empty, lowest, zero), graph.ints([1, 2]))


def attend(graph: Graph, query: str, stored: Sequence[str]) -> str:
    """Attend from the scaled ``query`` (batch, heads, beams, head size): FLOAT of the same shape.

    Args:
        graph: Where the nodes go.
        query: The queries.
        stored: The outputs of `store`, and the bias of the scores.
    """
    keys, key_scales, values, value_scales, bias = stored
    quantized, scale = _quantize(graph, query, graph.one("Abs", query), INT8_MAX, np.uint8(UINT8_MIDDLE))
    middle = graph.initializers.constant(UINT8_MIDDLE, np.uint8)
    products = graph.one("Cast", graph.one("MatMulInteger", quantized, keys, middle), to=TensorProto.FLOAT)
    scores = graph.one("Mul", graph.one("Mul", products, key_scales), scale)
    probabilities = graph.one("Softmax", graph.one("Add", scores, bias), axis=-1)

    weighted = graph.one("Mul", probabilities, value_scales)
    quantized, scale = _quantize(graph, weighted, weighted, _UINT8_MAX, np.uint8(0))  # None is negative.
    products = graph.one("Cast", graph.one("MatMulInteger", quantized, values), to=TensorProto.FLOAT)
    return graph.one("Mul", products, scale)


def _quantize(graph: Graph, x: str, magnitudes: str, levels: int, zero_point: np.int8 | np.uint8) -> tuple[str, str]:
    """Quantize each row of ``x`` (..., size) by a scale of its own.

    Args:
        graph: Where the nodes go.
        x: The tensor.
        magnitudes: The magnitudes of its elements; ``x`` itself where none is negative.
        levels: The integer that stands for a row's maximum magnitude.
        zero_point: The integer that stands for 0; its type is that of the result.

    Returns:
        Integers of the shape of ``x``, and scales FLOAT (..., 1).
    """
    peak = graph.one("ReduceMax", magnitudes, axes=[-1], keepdims=1)
    scale = graph.one("Mul", peak, graph.initializers.constant(1 / levels, np.float32))
    shape = graph.one("Shape", x)
    last = graph.one("Slice", shape, graph.ints([-1]), graph.ints([np.iinfo(np.int64).max]))
    flat = graph.one("Reshape", x, graph.one("Concat", graph.ints([-1]), last, axis=0))
    scales = graph.reshape(scale, [-1])
    zero = numpy_helper.from_array(zero_point.reshape(1))
    zero_points = graph.one("ConstantOfShape", graph.one("Shape", scales), value=zero)
    integers = graph.one("QuantizeLinear", flat, scales, zero_points, axis=0)
    return graph.one("Reshape", integers, shape), scale
