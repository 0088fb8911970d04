"""`Graph` in the operators of ONNX 24 alone, in the forms that TensorRT's parser takes.

What TensorRT for RTX 1.7 refuses, and what stands here instead:

* ``MultiHeadAttention`` of ONNX Runtime with a mask of keys: ``Attention`` with one output, whose mask is a bias.
* Keys and values of different widths: `StandardGraph.equal_widths` says so to the writers.
* The attribute ``softmax_precision`` of ``Attention``. None is needed: the fused kernels sum up in fp32.
* ``Attention`` in fp32, unless whoever builds the engine allows it to be taken apart (`engine.trt`).

ONNX Runtime's ``Attention`` on CPUs wants masks with a row for each query, so they are repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from export.graph.graph import HALF_LIMIT, MICROSOFT, Embedding, Graph, Layout, Norm
from export.graph.initializers import Initializers
from export.graph.precision import Precision

OPSET: Final = 24
"""The operator set of the graphs: the first with ``TensorScatter``, and with all forms of ``Attention``."""
_MASKED: Final = -6.0e4
"""The score of a masked position: finite, so that a row of padding alone is a number, and 0 after softmax."""
_STANDARD_TOO: Final = frozenset({"Gelu"})
"""Operators of ONNX Runtime that ONNX has under the same name."""


class Products(StrEnum):
    """What such a graph multiplies in, and stores its weights in; all else is in fp32."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


_TYPES: Final[dict[Products, npt.DTypeLike]] = {
    Products.FP32: np.float32,
    Products.FP16: np.float16,
    Products.BF16: ml_dtypes.bfloat16,
}


class StandardGraph(Graph):
    """Writes what `Graph` writes; a writer of an architecture need not know which of the two it has."""

    equal_widths = True

    def __init__(self, initializers: Initializers, *, prefix: str, products: Products) -> None:
        super().__init__(initializers, prefix=prefix, precision=Precision.FP32, opset=OPSET)
        self._products = products
        self._dtype = np.dtype(_TYPES[products])
        self._type = onnx.helper.np_dtype_to_tensor_dtype(self._dtype)
        self._masks: dict[str, str] = {}

    def inner(self, prefix: str) -> Graph:
        """A graph inside this one, with the same constants; its names get ``prefix``."""
        return StandardGraph(self.initializers, prefix=prefix, products=self._products)

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        outputs: int | Sequence[str] = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node of ONNX; ``outputs`` are names, or a number of names to generate.

        Raises:
            ValueError: ONNX has no such operator.
        """
        if domain == MICROSOFT and op in _STANDARD_TOO:
            domain = ""
        if domain:
            raise ValueError(f"a graph of standard operators has those of ONNX alone, not {domain}.{op}")
        if op == "Split" and len(inputs) == 1:  # Into equal parts, whose number this operator set wants to be told.
            attributes["num_outputs"] = outputs if isinstance(outputs, int) else len(outputs)
        return super().add(op, inputs, outputs=outputs, **attributes)

    def half(self, x: str) -> str:
        """``x``, FLOAT, in the type of the products."""
        return x if self._products is Products.FP32 else self.one("Cast", x, to=self._type)

    def product(self, x: str, y: str) -> str:
        """The matrix product of two tensors, FLOAT; in fp16 it is clipped before it overflows, as `Graph` does."""
        return self._product(x, self.half(y))

    def linear(
        self,
        x: str,
        name: str,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32] | None = None,
        *,
        layout: Layout = "batch",  # noqa: ARG002 - only int8 asks for it
        activation: str = "",
        to_norm: bool = False,  # noqa: ARG002 - graphs for GPUs ask for it
    ) -> str:
        """A dense layer; arguments as of `Graph.linear`."""
        product = self._product(x, self.initializers.add(f"{name}.weight", self._stored(weight)))
        if bias is not None:
            product = self.bias(product, name, bias)
        return self.one(activation.capitalize(), product) if activation else product

    def embedding(self, table: Embedding, ids: str) -> str:
        """Rows of a stored table: INT32 ids (batch, length) -> FLOAT (batch, length, width)."""
        return self._wide(self.one("Gather", table.rows, ids))

    def layer_norm(self, x: str, skip: str, name: str, norm: Norm) -> str:
        """Layer normalisation of ``x + skip`` in fp32."""
        scale, shift = (self.initializers.add(f"{name}.{key}", getattr(norm, key)) for key in ("gamma", "beta"))
        total = self.one("Add", x, skip)
        return self.one("LayerNormalization", total, scale, shift, axis=-1, epsilon=norm.epsilon)

    def self_attention(self, parts: str, mask: str, heads: int) -> str:
        """Every position attends to all; arguments as of `Graph.self_attention`."""
        return self.attention([*self.add("Split", [parts], outputs=3, axis=-1), "", mask], heads)[0]

    def attention(
        self, inputs: Sequence[str], heads: int, *, outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> list[str]:
        """Attention over the inputs of ``com.microsoft.MultiHeadAttention``, without a cache.

        Queries, keys, values FLOAT (batch, length, width), a mask INT32 (batch, length) and perhaps a bias FLOAT
        (batch, heads, queries, length) -> FLOAT (batch, queries, width).

        Raises:
            ValueError: More than one output is asked for.
        """
        if outputs != 1:
            raise ValueError("a graph of standard operators keeps caches with TensorScatter: attention has one output")
        query, key, value, _, mask, *rest = inputs
        masked = self._mask_bias(mask)
        if rest:
            bias = self.one("Add", rest[0], masked)
        else:  # ONNX Runtime wants a row for each query.
            ones = self.ints([1])
            shape = self.one("Concat", ones, ones, self.dimension(query, 1), ones, axis=0)
            bias = self.one("Expand", masked, shape)
        found = self.one(
            "Attention",
            *(self.half(x) for x in (query, key, value, bias)),
            q_num_heads=heads,
            kv_num_heads=heads,
            **attributes,
        )
        return [self._wide(found)]

    def _mask_bias(self, mask: str) -> str:
        """What a mask INT32 (batch, length) adds to the scores: FLOAT (batch, 1, 1, length)."""
        if mask not in self._masks:
            hidden = self.one(
                "Cast", self.one("Equal", mask, self.initializers.constant(0, np.int32)), to=onnx.TensorProto.FLOAT
            )
            scores = self.one("Mul", hidden, self.initializers.constant(_MASKED, np.float32))
            self._masks[mask] = self.one("Unsqueeze", scores, self.ints([1, 2]))
        return self._masks[mask]

    def _product(self, x: str, stored: str) -> str:
        """``x``, FLOAT, times what is in the type of the products already."""
        product = self.one("MatMul", self.half(x), stored)
        if self._products is Products.FP16:
            bounds = [self.initializers.constant(bound, np.float16) for bound in (-HALF_LIMIT, HALF_LIMIT)]
            product = self.one("Clip", product, *bounds)
        return self._wide(product)

    def _wide(self, x: str) -> str:
        """``x``, in the type of the products, as FLOAT."""
        return x if self._products is Products.FP32 else self.one("Cast", x, to=onnx.TensorProto.FLOAT)

    def _stored(self, weight: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        if self._products is Products.FP16:
            weight = np.clip(weight, -HALF_LIMIT, HALF_LIMIT)
        return weight.astype(self._dtype)
