"""A small writer of ONNX graphs: named nodes, weights stored once, dense layers in fp32, fp16 or int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from .initializers import Initializers, quantize_columns
from .precision import Precision

OPSET: Final = 17
"""The ONNX operator set of the graphs written here; old enough for every Triton release in use."""
MICROSOFT: Final = "com.microsoft"
DOMAIN: Final = "infolens"
"""The ONNX domain of the fused operators, see `functions`."""
Layout = Literal["batch", "token", "rows"]
"""Shapes of hidden states: (batch, length, width), (batch, 1, width) and (rows, width)."""
_IR_VERSION: Final = 8
_AXES_AS_INPUT: Final = 18
"""From this operator set on a reduction's axes are an input."""
UINT8_MIDDLE: Final = 128
"""The zero point of unsigned activations."""
_MASKED: Final = {True: -6.0e4, False: -3.0e38}
"""The score of a masked position, in fp16 and otherwise."""
_MASK_INPUT: Final = 4
HALF_LIMIT: Final = 6.0e4
"""Products in fp16 are clipped to this: below the maximum of fp16, 65504, so that a bias can still be added."""
ACTIVATIONS: Final = ("gelu", "relu")
"""The activation functions that the graphs can express."""


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

    equal_widths = False
    """Whether the keys and the values of an attention must be equally wide."""

    def __init__(self, initializers: Initializers, *, prefix: str, precision: Precision, opset: int = OPSET) -> None:
        self.initializers = initializers
        self.opset = opset
        self.numbers = precision.number_format
        self._precision = precision
        self.nodes: list[onnx.NodeProto] = []
        self._prefix = prefix
        self.batch_shape = ""
        """Name of an INT64 tensor (batch, length, -1): the shape that a flattened product gets back."""

    def add(
        self, op: str, inputs: Sequence[str], *, outputs: int | Sequence[str] = 1, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node; ``outputs`` are names, or a number of names to generate. Returns the names of the outputs."""
        stem = f"{self._prefix}{len(self.nodes)}_{op}"
        names = [f"{stem}_{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=stem, domain=domain, **attributes))
        return names

    def one(self, op: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.add(op, inputs, outputs=[output] if output else 1, domain=domain, **attributes)[0]

    def inner(self, prefix: str) -> Graph:
        """A graph inside this one, such as a branch, with the same constants; its names get ``prefix``."""
        made = Graph(self.initializers, prefix=prefix, precision=self._precision, opset=self.opset)
        made.batch_shape = self.batch_shape
        return made

    def ints(self, values: Sequence[int]) -> str:
        """The name of a constant INT64 vector."""
        return self.initializers.constant(list(values), np.int64)

    def read_shape(self, ids: str) -> None:
        """Set `batch_shape` from the shape of the ids (batch, length)."""
        self.batch_shape = self.one("Concat", self.one("Shape", ids), self.ints([-1]), axis=0)

    def dimension(self, tensor: str, axis: int) -> str:
        """The size of one axis of ``tensor``, INT64 of shape (1,)."""
        return self.one("Shape", tensor, start=axis, end=axis + 1)

    def reduce(self, op: str, tensor: str, axis: int, *, keep: bool = True) -> str:
        """``ReduceMax`` or another of its kind over one axis, in the form of this operator set."""
        if self.opset < _AXES_AS_INPUT and op != "ReduceSum":
            return self.one(op, tensor, axes=[axis], keepdims=int(keep))
        return self.one(op, tensor, self.ints([axis]), keepdims=int(keep))

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        """``tensor`` in a new constant shape; 0 keeps a dimension and -1 infers one."""
        return self.one("Reshape", tensor, self.ints(shape))

    def linear(
        self,
        x: str,
        name: str,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32] | None = None,
        *,
        layout: Layout = "batch",
        activation: str = "",
        to_norm: bool = False,  # noqa: ARG002 - graphs for GPUs ask for it
    ) -> str:
        """A dense layer with a stored ``weight`` (rows, columns) and ``bias`` (columns).

        Args:
            x: Name of the tensor.
            name: Name of the weight.
            weight: The weight.
            bias: The bias; nothing is added without one.
            layout: The shape of ``x``, and of the result.
            activation: One of `ACTIVATIONS`, or none.
            to_norm: Whether ``x`` is no hidden state, and the result goes to `layer_norm` alone, as its first argument.
        """
        if self.numbers.integers:
            quantized, scales = quantize_columns(weight)
            stored = self.initializers.add(f"{name}.weight_int8", quantized)
            scale = self.initializers.add(f"{name}.scale", scales)
            return self.int8_linear(x, name, stored, scale, bias, weight.shape, layout=layout, activation=activation)
        product = self.product(x, self.initializers.add(f"{name}.weight", self._stored(weight)))
        if bias is None:
            return product
        stored_bias = self.initializers.add(f"{name}.bias", bias)
        if activation == "gelu":
            return self.one("BiasGelu", product, stored_bias, domain=MICROSOFT)
        total = self.one("Add", product, stored_bias)
        return self.one("Relu", total) if activation else total

    def int8_linear(
        self,
        x: str,
        name: str,
        weight: str,
        scales: str,
        bias: npt.NDArray[np.float32] | None,
        shape: tuple[int, int],
        *,
        layout: Layout = "batch",
        activation: str = "",
    ) -> str:
        """A dense layer whose ``weight`` INT8 of ``shape`` (rows, columns) and ``scales`` are tensors of the graph."""
        rows, columns = shape
        vector = np.zeros(columns, np.float32) if bias is None else bias
        stored_bias = self.initializers.add(f"{name}.bias", vector)
        flat = x if layout == "rows" else self.reshape(x, [-1, rows])
        product = self.fused(f"Int8Linear{activation.capitalize()}", flat, weight, scales, stored_bias)
        if layout == "token":
            return self.reshape(product, [-1, 1, columns])
        return product if layout == "rows" else self.one("Reshape", product, self.batch_shape)

    def fused(self, op: str, *inputs: str, outputs: int | Sequence[str] = 1, **attributes: Any) -> str:
        """Add a fused operator of `functions`; returns its first output."""
        return self.add(op, inputs, outputs=outputs, domain=DOMAIN, **attributes)[0]

    def product(self, x: str, y: str) -> str:
        """The matrix product of two tensors, FLOAT.

        In fp16 it is clipped before it overflows, as it otherwise would in residuals and feed-forward layers of BERT's
        family. The operators between the products (sums, normalisations, softmax) stay in fp32.
        """
        if not self.numbers.half:
            return self.one("MatMul", x, y)
        product = self.one("MatMul", self.half(x), self.half(y))
        bounds = [self.initializers.constant(bound, np.float16) for bound in (-HALF_LIMIT, HALF_LIMIT)]
        return self.one("Cast", self.one("Clip", product, *bounds), to=TensorProto.FLOAT)

    def half(self, x: str) -> str:
        """``x`` in fp16; ONNX Runtime removes the casts of what is in fp16 already."""
        return self.one("Cast", x, to=TensorProto.FLOAT16)

    def _stored(self, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | npt.NDArray[np.float16]:
        if not self.numbers.half:
            return weight
        return np.clip(weight, -HALF_LIMIT, HALF_LIMIT).astype(np.float16)

    def table(self, name: str, value: npt.NDArray[np.float32]) -> str:
        """Store what is added to embeddings."""
        return self.initializers.add(name, value)

    def leave(self, x: str) -> str:
        """Hidden states as FLOAT, for the head."""
        return x

    def dense(self, x: str, name: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """A dense layer that stays in fp32 at every precision: for the small heads after the encoders."""
        return self.bias(self.one("MatMul", x, self.initializers.add(f"{name}.weight", weight)), name, bias)

    def token(self, x: str, index: int) -> str:
        """One position of ``x`` (batch, length, width): (batch, 1, width). 0 is the first and -1 the last."""
        end = index + 1 if index != -1 else np.iinfo(np.int64).max
        return self.one("Slice", x, self.ints([index]), self.ints([end]), self.ints([1]))

    def bias(self, x: str, name: str, bias: npt.NDArray[np.float32]) -> str:
        """Add a stored vector to the last axis of ``x``."""
        return self.one("Add", x, self.initializers.add(f"{name}.bias", bias))

    def layer_norm(self, x: str, skip: str, name: str, norm: Norm) -> str:
        """Layer normalisation of ``x + skip``, both of shape (..., width); ``skip`` may lack leading dimensions."""
        g = self.initializers.add(f"{name}.gamma", norm.gamma)
        b = self.initializers.add(f"{name}.beta", norm.beta)
        return self.fused("AddNorm", x, skip, g, b, epsilon=norm.epsilon)

    def self_attention(self, parts: str, mask: str, heads: int) -> str:
        """Every position attends to all: ``parts`` (batch, length, 3 * width), queries, keys, values -> one width.

        ``mask`` INT32 (batch, length) is 0 at positions that no other may attend to.
        """
        if self.numbers.integers:
            return self.fused("Int8SelfAttention", parts, mask, num_heads=heads)
        return self.attention([*self.add("Split", [parts], outputs=3, axis=-1), "", mask], heads)[0]

    def attention(
        self, inputs: Sequence[str], heads: int, *, outputs: int | Sequence[str] = 1, **attributes: float
    ) -> list[str]:
        """Fused attention over the inputs of ``com.microsoft.MultiHeadAttention``; an empty name leaves one out.

        Softmax is in fp32 at every precision: the kernels for fp16 sum up in fp32. A cache of keys and values
        (``outputs`` beyond the first) stays in fp32.
        """
        half = self.numbers.half and outputs == 1
        if half:  # All but the mask, the fifth input.
            inputs = [self.half(name) if name and i != _MASK_INPUT else name for i, name in enumerate(inputs)]
        attributes |= {"num_heads": heads, "mask_filter_value": _MASKED[half]}
        found = self.add("MultiHeadAttention", inputs, outputs=outputs, domain=MICROSOFT, **attributes)
        return [self.one("Cast", found[0], to=TensorProto.FLOAT)] if half else found

    def embedding(self, table: Embedding, ids: str) -> str:
        """Rows of a stored table: INT32 ids (batch, length) -> (batch, length, width)."""
        rows = self.one("Gather", table.rows, ids)
        if not table.scales:
            return self.one("Cast", rows, to=TensorProto.FLOAT) if self.numbers.half else rows
        scale = self.one("Unsqueeze", self.one("Gather", table.scales, ids), self.ints([-1]))
        return self.one("Mul", self.one("Cast", rows, to=TensorProto.FLOAT), scale)

    def store_embedding(self, name: str, table: npt.NDArray[np.float32]) -> Embedding:
        """Store a table (rows, width), in int8 with one scale a row where the precision says so."""
        if not self.numbers.integers:
            return Embedding(rows=self.initializers.add(f"{name}.weight", self._stored(table)))
        columns, scales = quantize_columns(table.T)
        rows = self.initializers.add(f"{name}.weight_int8", columns.T)
        return Embedding(rows=rows, scales=self.initializers.add(f"{name}.scale", scales))


def model_of(
    name: str,
    graph: Graph,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    function: Callable[[str], onnx.FunctionProto],
) -> onnx.ModelProto:
    """Wrap a finished graph and its weights as a model with the operator sets and functions that it needs.

    ``function`` makes the ONNX function of an operator of `DOMAIN`.
    """
    initializers = list(graph.initializers.tensors.values())
    proto = helper.make_graph(graph.nodes, name, list(inputs), list(outputs), initializer=initializers)
    opsets = [helper.make_opsetid("", graph.opset), *(helper.make_opsetid(domain, 1) for domain in (MICROSOFT, DOMAIN))]
    needed = [function(name) for name in sorted(operators_of(proto))]
    model = helper.make_model(proto, producer_name="infolens", opset_imports=opsets, functions=needed)
    model.ir_version = _IR_VERSION
    return model


def operators_of(proto: onnx.GraphProto) -> set[str]:
    """Names of the operators of `DOMAIN` in a graph and the graphs inside it."""
    found = {node.op_type for node in proto.node if node.domain == DOMAIN}
    for node in proto.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= operators_of(attribute.g)
    return found


def value(name: str, dtype: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """An input or output of a graph; a string names a dimension that varies."""
    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(dtype), list(shape))
