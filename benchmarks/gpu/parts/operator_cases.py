"""The work of the native operators, and the same work in ONNX Runtime's own, as graphs in ONNX's text form.

The result of a graph is ``y``, and whatever it reads beyond its own values is an input or a weight of the case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SEED: Final = 0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One operator at one size."""

    operator: str
    """The native one."""
    shape: str
    """Its size, in words for a table."""
    native: str
    """The native operator."""
    others: Mapping[str, str]
    """The same work in ONNX Runtime's own operators, by words for them."""
    inputs: Mapping[str, Array]
    """What a call is given."""
    weights: Mapping[str, Array] = field(default_factory=dict)
    """What is stored in the model."""
    before: str = ""
    """Native operators that prepare an input of ``native``; they are run once, and not timed."""
    prepared: tuple[str, ...] = ()
    """What they return."""


_BY_ROWS: Final = """
    size = Abs(x)
    peak = ReduceMax <axes = [1], keepdims = 0> (size)
    part = Constant <value = float {0.007874015748}> ()
    scale = Mul(peak, part)
    scale_shape = Shape(scale)
    middles = ConstantOfShape <value = uint8[1] {128}> (scale_shape)
    quantized = QuantizeLinear <axis = 0> (x, scale, middles)
    one = Constant <value = float {1.0}> ()
    middle = Constant <value = uint8 {128}> ()
    whole = com.microsoft.MatMulIntegerToFloat(quantized, weight, one, scales, middle)
    last = Constant <value = int64[1] {1}> ()
    column = Unsqueeze(scale, last)
    product = Mul(whole, column)
"""
"""As the function of the same name in an exported model; 0.007... is 1 / 127."""
_AS_USUAL: Final = """
    quantized, scale, middle = DynamicQuantizeLinear(x)
    integers = MatMulInteger(quantized, weight, middle)
    whole = Cast <to = 1> (integers)
    both = Mul(scale, scales)
    product = Mul(whole, both)
"""
"""As ONNX Runtime's dynamic quantization writes it."""
_ENDS: Final = {"Int8Linear": "y = Add(product, bias)", "Int8LinearGelu": "y = com.microsoft.BiasGelu(product, bias)"}


def linear(operator: str, rows: int, inputs: int, columns: int) -> Case:
    """A dense layer with int8 weights."""
    random = np.random.default_rng([SEED, rows, inputs, columns])
    end = _ENDS[operator]
    return Case(
        operator=operator,
        shape=f"{rows} x {inputs} x {columns}",
        native=f"y = infolens.{operator}(x, weight, scales, bias)",
        others={
            "one scale a row": _BY_ROWS + end,
            "one scale for all rows": _AS_USUAL + end,
        },
        inputs={"x": random.standard_normal((rows, inputs), np.float32)},
        weights={
            "weight": random.integers(-127, 128, (inputs, columns), np.int8),
            "scales": (random.random(columns, np.float32) + 1) / np.float32(127 * inputs**0.5),
            "bias": random.standard_normal(columns, np.float32) / 10,
        },
    )


def self_attention(batch: int, length: int, heads: int, size: int) -> Case:
    """Every position of an article attends to all of them."""
    random = np.random.default_rng([SEED, batch, length, heads, size])
    attention = f"com.microsoft.MultiHeadAttention <num_heads = {heads}> (query, key, value, , mask)"
    return Case(
        operator="Int8SelfAttention",
        shape=f"{batch} x {length}, {heads} heads of {size}",
        native=f"y = infolens.Int8SelfAttention <num_heads = {heads}> (parts, mask)",
        others={"MultiHeadAttention, fp32": f"query, key, value = Split <axis = -1> (parts)\ny = {attention}"},
        inputs={
            "parts": random.standard_normal((batch, length, 3 * heads * size), np.float32),
            "mask": np.ones((batch, length), np.int32),
        },
    )


def cross_attention(batch: int, beams: int, length: int, heads: int, size: int) -> Case:
    """The beams of an article attend to its keys and values, which are stored beforehand."""
    random = np.random.default_rng([SEED, batch, beams, length, heads, size])
    width, stored = heads * size, ("keys", "key_scales", "values", "value_scales")
    names = ", ".join(stored)
    both = random.standard_normal((batch, length, 2 * width), np.float32)
    shape = (batch, length, 2, heads, size)
    key, value = np.ascontiguousarray(both.reshape(shape).transpose(2, 0, 3, 1, 4))
    return Case(
        operator="Int8CrossAttention",
        shape=f"{batch} x {beams} beams, {length}, {heads} heads of {size}",
        before=f"{names} = infolens.Int8CrossStore <num_heads = {heads}> (both)",
        prepared=stored,
        native=f"y = infolens.Int8CrossAttention <num_heads = {heads}> (query, {names}, bias)",
        others={
            "MultiHeadAttention, fp32": f"""
                shape = Constant <value = int64[3] {{{batch}, {beams}, {width}}}> ()
                rows = Constant <value = int64[2] {{-1, {width}}}> ()
                queries = Reshape(query, shape)
                found = com.microsoft.MultiHeadAttention <num_heads = {heads}> (queries, key, value)
                y = Reshape(found, rows)
            """
        },
        inputs={
            "query": random.standard_normal((batch * beams, width), np.float32),
            "both": both,
            "key": key,
            "value": value,
            "bias": np.zeros((batch, 1, 1, length), np.float32),
        },
    )


def add_norm(rows: int, width: int) -> Case:
    """Layer normalisation of a sum."""
    random = np.random.default_rng([SEED, rows, width])
    return Case(
        operator="AddNorm",
        shape=f"{rows} x {width}",
        native="y = infolens.AddNorm <epsilon = 1e-5> (x, skip, gamma, beta)",
        others={
            "Sum, LayerNormalization": "total = Sum(x, skip)\n"
            "y = LayerNormalization <axis = -1, epsilon = 1e-5> (total, gamma, beta)",
            "SkipLayerNormalization": "y = com.microsoft.SkipLayerNormalization <epsilon = 1e-5> (x, skip, gamma, "
            "beta)",
        },
        inputs={name: random.standard_normal((rows, width), np.float32) for name in ("x", "skip")},
        weights={name: random.standard_normal(width, np.float32) for name in ("gamma", "beta")},
    )


def cases(*, toy: bool) -> list[Case]:
    """What is measured: four beams and an encoder of BART large, and DistilBERT's 128 tokens; small ones as a toy."""
    if toy:
        return [
            linear("Int8LinearGelu", 4, 64, 96),
            linear("Int8Linear", 4, 96, 64),
            self_attention(1, 16, 2, 16),
            cross_attention(1, 4, 16, 2, 16),
            add_norm(4, 64),
        ]
    return [
        linear("Int8LinearGelu", 4, 1024, 4096),
        linear("Int8LinearGelu", 512, 1024, 4096),
        linear("Int8Linear", 4, 4096, 1024),
        linear("Int8Linear", 512, 4096, 1024),
        linear("Int8Linear", 4, 1024, 50264),
        self_attention(1, 512, 16, 64),
        self_attention(1, 128, 12, 64),
        cross_attention(1, 4, 512, 16, 64),
        add_norm(4, 1024),
        add_norm(512, 1024),
    ]
