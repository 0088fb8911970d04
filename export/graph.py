"""A small writer of ONNX graphs: named nodes, weights that are stored once, linear layers in fp32, fp16 or int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .weights import INT8_MAX, Weights, quantize_columns

OPSET: Final = 17
"""The ONNX operator set of the graphs written here; old enough for every Triton release in use."""
MICROSOFT: Final = "com.microsoft"
_IR_VERSION: Final = 8
UINT8_MIDDLE: Final = 128
"""The zero point of unsigned activations."""
_MASKED: Final = {True: -6.0e4, False: -3.0e38}
"""The score of a masked position, in fp16 and otherwise."""
_MASK_INPUT: Final = 4
_HALF_LIMIT: Final = 6.0e4
"""Products in fp16 are cut off here: below the greatest number, 65504, so that a bias can still be added."""
ACTIVATIONS: Final = ("gelu", "relu")
"""The activation functions that the graphs can express."""


class Precision(StrEnum):
    """The number format of the weights of an exported model."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@dataclass(frozen=True, kw_only=True)
class Norm:
    """The parameters of a layer normalisation; vectors of shape (width,)."""

    gamma: npt.NDArray[np.float32]
    beta: npt.NDArray[np.float32]
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Names of a stored embedding table."""

    rows: str
    """The table of shape (vocabulary, width), FLOAT, FLOAT16 or INT8."""
    scales: str = ""
    """The scales of the rows, shape (vocabulary,), of an INT8 table."""


class Graph:
    """Nodes of one graph in the making; node outputs get names with the graph's prefix."""

    def __init__(self, weights: Weights, *, prefix: str, precision: Precision) -> None:
        self.weights = weights
        self.precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix
        self.batch_shape = ""
        """Name of an INT64 tensor (batch, length, -1): the shape that the product of a matrix gets back."""
        self._quantized: dict[str, tuple[str, str]] = {}
        self._zero_points: dict[bool, str] = {}

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        outputs: int | Sequence[str] = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node; ``outputs`` are names, or how many to make up. Returns the names of the outputs."""
        stem = f"{self._prefix}{len(self.nodes)}_{op}"
        names = [f"{stem}_{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=stem, domain=domain, **attributes))
        return names

    def one(self, op: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.add(op, inputs, outputs=[output] if output else 1, domain=domain, **attributes)[0]

    def ints(self, values: Sequence[int]) -> str:
        """The name of a constant INT64 vector."""
        return self.weights.constant(list(values), np.int64)

    def read_shape(self, ids: str) -> None:
        """Take the batch and the length from the ids (batch, length)."""
        self.batch_shape = self.one("Concat", self.one("Shape", ids), self.ints([-1]), axis=0)

    def dimension(self, tensor: str, axis: int) -> str:
        """The size of one axis of ``tensor``, INT64 of shape (1,)."""
        return self.one("Shape", tensor, start=axis, end=axis + 1)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """``tensor`` in a new constant shape; 0 keeps a dimension and -1 infers one."""
        return self.one("Reshape", tensor, self.ints(shape))

    def matmul(self, x: str, name: str, weight: npt.NDArray[np.float32], *, single: bool = False) -> str:
        """Multiply ``x`` (batch, length, rows) by a stored ``weight`` (rows, columns).

        Args:
            x: Name of the tensor.
            name: Name of the weight.
            weight: The weight.
            single: Whether the length is 1.
        """
        if self.precision is not Precision.INT8:
            return self.product(x, self.weights.add(f"{name}.weight", self._stored(weight)))
        quantized, scales = quantize_columns(weight)
        stored = self.weights.add(f"{name}.weight_int8", quantized)
        return self.matmul_int8(x, stored, self.weights.add(f"{name}.scale", scales), single=single)

    def product(self, x: str, y: str) -> str:
        """The matrix product of two tensors, FLOAT.

        At the precision fp16 it is computed in fp16 and cut off before it overflows, as residuals and feed-forward
        layers of BERT's family would. What is between the products stays in fp32: sums, normalisations, softmax.
        """
        if self.precision is not Precision.FP16:
            return self.one("MatMul", x, y)
        product = self.one("MatMul", self.half(x), self.half(y))
        bounds = [self.weights.constant(bound, np.float16) for bound in (-_HALF_LIMIT, _HALF_LIMIT)]
        return self.one("Cast", self.one("Clip", product, *bounds), to=TensorProto.FLOAT)

    def half(self, x: str) -> str:
        """``x`` in fp16; ONNX Runtime removes the casts of what is in fp16 already."""
        return self.one("Cast", x, to=TensorProto.FLOAT16)

    def _stored(self, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | npt.NDArray[np.float16]:
        if self.precision is not Precision.FP16:
            return weight
        return np.clip(weight, -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16)

    def matmul_int8(self, x: str, weight: str, scales: str, *, single: bool = False) -> str:
        """Multiply by an int8 matrix, with every position of ``x`` quantized by itself.

        ONNX Runtime's dynamic quantization takes one scale for the whole tensor, so that an article's answer depends
        on the other articles in its batch. One scale for each position costs little, loses less, and gives the same
        answer alone and in a batch.

        Args:
            x: Float tensor of shape (batch, length, rows).
            weight: Name of an INT8 tensor of shape (rows, columns).
            scales: Name of its scales, shape (columns,).
            single: Whether the length is 1.
        """
        quantized, scale = self._quantize(x, single=single)
        middle = self.weights.constant(UINT8_MIDDLE, np.uint8)
        inputs = [quantized, weight, self.weights.constant(1.0, np.float32), scales, middle]
        product = self.one("Mul", self.one("MatMulIntegerToFloat", *inputs, domain=MICROSOFT), scale)
        return product if single else self.one("Reshape", product, self.batch_shape)

    def _quantize(self, x: str, *, single: bool) -> tuple[str, str]:
        """UINT8 (positions, 1, rows) and scales FLOAT (positions, 1, 1) of ``x`` (batch, length, rows).

        Unsigned, because ONNX Runtime has no fast kernel for signed activations on x86 (measured: ten times slower).
        A position of nothing but zeros has the scale 0: whatever it is quantized to, its product is 0.
        """
        if x not in self._quantized:
            flat = (
                x
                if single
                else self.one("Reshape", x, self.one("Concat", self.ints([-1, 1]), self.dimension(x, 2), axis=0))
            )
            peak = self.one("ReduceMax", self.one("Abs", flat), axes=[1, 2], keepdims=0)
            scale = self.one("Mul", peak, self.weights.constant(1 / INT8_MAX, np.float32))
            if single not in self._zero_points:
                middle = numpy_helper.from_array(np.array([UINT8_MIDDLE], np.uint8))
                self._zero_points[single] = self.one("ConstantOfShape", self.dimension(flat, 0), value=middle)
            quantized = self.one("QuantizeLinear", flat, scale, self._zero_points[single], axis=0)
            self._quantized[x] = quantized, self.reshape(scale, [-1, 1, 1])
        return self._quantized[x]

    def dense(self, x: str, name: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """A dense layer that stays in fp32 whatever the precision: for the small heads behind the encoders."""
        return self.bias(self.one("MatMul", x, self.weights.add(f"{name}.weight", weight)), name, bias)

    def token(self, x: str, index: int) -> str:
        """One position of ``x`` (batch, length, width): (batch, 1, width). 0 is the first and -1 the last."""
        end = index + 1 if index != -1 else np.iinfo(np.int64).max
        return self.one("Slice", x, self.ints([index]), self.ints([end]), self.ints([1]))

    def bias(self, x: str, name: str, bias: npt.NDArray[np.float32]) -> str:
        """Add a stored vector to the last axis of ``x``."""
        return self.one("Add", x, self.weights.add(f"{name}.bias", bias))

    def layer_norm(self, x: str, skip: str, name: str, norm: Norm, *, bias: str = "") -> str:
        """Layer normalisation of ``x + skip + bias``; all of shape (batch, length, width).

        ``Sum`` and not ``Add``: an ``Add`` would be fused into ``SkipLayerNormalization``, whose kernel for CPUs is
        several times slower than the two operators (measured at width 256: 0.60 against 0.10 ms for 384 positions).
        """
        total = self.one("Sum", x, skip, *([bias] if bias else []))
        g = self.weights.add(f"{name}.gamma", norm.gamma)
        b = self.weights.add(f"{name}.beta", norm.beta)
        return self.one("LayerNormalization", total, g, b, axis=-1, epsilon=norm.epsilon)

    def activation(self, x: str, function: str, name: str, bias: npt.NDArray[np.float32]) -> str:
        """``function(x + bias)``, one of `ACTIVATIONS`."""
        stored = self.weights.add(f"{name}.bias", bias)
        if function == "gelu":
            return self.one("BiasGelu", x, stored, domain=MICROSOFT)
        return self.one("Relu", self.one("Add", x, stored))

    def attention(
        self, inputs: Sequence[str], heads: int, *, outputs: int | Sequence[str] = 1, **attributes: float
    ) -> list[str]:
        """Fused attention over the inputs of ``com.microsoft.MultiHeadAttention``; an empty name leaves one out.

        Softmax is in fp32 at every precision: the kernels for fp16 sum up in fp32. A cache of keys and values
        (``outputs`` beyond the first) stays in fp32, as ``BeamSearch`` keeps it.
        """
        half = self.precision is Precision.FP16 and outputs == 1
        if half:  # All but the mask, the fifth input.
            inputs = [self.half(name) if name and i != _MASK_INPUT else name for i, name in enumerate(inputs)]
        found = self.add(
            "MultiHeadAttention",
            inputs,
            outputs=outputs,
            domain=MICROSOFT,
            num_heads=heads,
            mask_filter_value=_MASKED[half],
            **attributes,
        )
        return [self.one("Cast", found[0], to=TensorProto.FLOAT)] if half else found

    def embedding(self, table: Embedding, ids: str) -> str:
        """Rows of a stored table: INT32 ids (batch, length) -> (batch, length, width)."""
        rows = self.one("Gather", table.rows, ids)
        if not table.scales:
            return self.one("Cast", rows, to=TensorProto.FLOAT) if self.precision is Precision.FP16 else rows
        scale = self.one("Unsqueeze", self.one("Gather", table.scales, ids), self.ints([-1]))
        return self.one("Mul", self.one("Cast", rows, to=TensorProto.FLOAT), scale)

    def store_embedding(self, name: str, table: npt.NDArray[np.float32]) -> Embedding:
        """Store a table (rows, width), in int8 with one scale a row where the precision says so."""
        if self.precision is not Precision.INT8:
            return Embedding(rows=self.weights.add(f"{name}.weight", self._stored(table)))
        columns, scales = quantize_columns(table.T)
        rows = self.weights.add(f"{name}.weight_int8", columns.T)
        return Embedding(rows=rows, scales=self.weights.add(f"{name}.scale", scales))


def model_of(
    name: str, graph: Graph, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """Wrap a finished graph and its weights as a model with the operator sets that it needs."""
    weights = list(graph.weights.tensors.values())
    proto = helper.make_graph(graph.nodes, name, list(inputs), list(outputs), initializer=weights)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(proto, producer_name="infolens", opset_imports=opsets)
    model.ir_version = _IR_VERSION
    return model


def value(name: str, dtype: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """An input or output of a graph; a string names a dimension that varies."""
    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(dtype), list(shape))
