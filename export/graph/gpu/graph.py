"""`Graph` of one number format from end to end, in the operators for which ONNX Runtime has kernels on GPUs.

On a GPU every cast and every clip between two products is a kernel of its own, and reads and writes its tensor once
more. So nothing is cast here between the embedding and the head: hidden states, weights and scores are in fp16, bf16 or
fp32, and the kernels sum up in fp32.

The numbers of fp16 end at 65504, and sums of residuals of BERT's family can be larger. Each of these sums goes to a
normalisation, which gives the same for a multiple of it. So hidden states are stored as a sixteenth of themselves, a
power of two, which changes no digit: embeddings, the layers before a normalisation, and its own scale and shift are
stored divided, and the layers that read hidden states multiplied. What overflows even then is not a number in the
answer, which the comparison with the checkpoint refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from export.graph.graph import MICROSOFT, Embedding, Graph, Layout, Norm
from export.graph.initializers import Initializers
from export.graph.precision import Precision

OPSET: Final = 17
MASKED: Final = -3.0e4
"""The score of a masked position: 0 after softmax, and a number in fp16 even where scores are added to it."""
_TYPES: Final[dict[Precision, tuple[npt.DTypeLike, float]]] = {
    Precision.FP32: (np.float32, 1.0),
    Precision.FP16: (np.float16, 1 / 16),
    Precision.BF16: (ml_dtypes.bfloat16, 1.0),
}
"""The numbers of a precision, and what hidden states are multiplied with."""


class GpuGraph(Graph):
    """Writes what `Graph` writes; hidden states are of one type, FLOAT16, BFLOAT16 or FLOAT.

    Raises:
        ValueError: The precision has no such graph.
    """

    def __init__(self, initializers: Initializers, *, prefix: str, precision: Precision) -> None:
        if precision not in _TYPES:
            raise ValueError(f"a graph for GPUs is of {', '.join(_TYPES)}, not {precision}")
        super().__init__(initializers, prefix=prefix, precision=Precision.FP32, opset=OPSET)
        dtype, self._share = _TYPES[precision]
        self._numbers = precision
        self.dtype = np.dtype(dtype)
        self.element = onnx.helper.np_dtype_to_tensor_dtype(self.dtype)
        """The type of hidden states, one of ``onnx.TensorProto``."""
        self._biases: dict[str, tuple[str, str]] = {}
        self._masks: dict[str, str] = {}

    def inner(self, prefix: str) -> Graph:
        """A graph inside this one, with the same constants; its names get ``prefix``."""
        return GpuGraph(self.initializers, prefix=prefix, precision=self._numbers)

    def half(self, x: str) -> str:
        """``x`` of any type in the type of hidden states."""
        return self.one("Cast", x, to=self.element)

    def number(self, value: float) -> str:
        """The name of a constant of the type of hidden states."""
        return self.initializers.constant(value, self.dtype)

    def add_stored(self, name: str, value: npt.NDArray[np.float32]) -> str:
        """Store a tensor in the type of hidden states, as it is."""
        return self.initializers.add(name, value.astype(self.dtype))

    def table(self, name: str, value: npt.NDArray[np.float32]) -> str:
        """Store what is added to embeddings."""
        return self.add_stored(name, value * np.float32(self._share))

    def leave(self, x: str) -> str:
        """Hidden states, in the type of the graph and as a share of themselves, as FLOAT."""
        wide = self.one("Cast", x, to=onnx.TensorProto.FLOAT)
        if self._share == 1:
            return wide
        return self.one("Mul", wide, self.initializers.constant(1 / self._share, np.float32))

    def product(self, x: str, y: str) -> str:
        """The matrix product of two tensors of the type of hidden states.

        As many matrices on either side, or one matrix on the right: for others ONNX Runtime makes lists of addresses
        on the host, which a CUDA graph would read again after they are gone.
        """
        return self.one("MatMul", x, y)

    def linear(
        self,
        x: str,
        name: str,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32] | None = None,
        *,
        layout: Layout = "batch",  # noqa: ARG002 - only int8 asks for it
        activation: str = "",
        to_norm: bool = False,
    ) -> str:
        """A dense layer, of hidden states or, with ``to_norm``, of others; arguments as of `Graph.linear`."""
        factor = np.float32(self._share if to_norm else 1 / self._share)
        product = self.one("MatMul", x, self.add_stored(f"{name}.weight", weight * factor))
        if bias is None:
            return product
        stored = self.add_stored(f"{name}.bias", bias * (factor if to_norm else np.float32(1)))
        if activation == "gelu":
            return self.one("BiasGelu", product, stored, domain=MICROSOFT)
        if to_norm:
            self._biases[product] = product, stored
            return product
        total = self.one("Add", product, stored)
        return self.one("Relu", total) if activation else total

    def layer_norm(self, x: str, skip: str, name: str, norm: Norm) -> str:
        """Layer normalisation of ``x + skip``, of which ``x`` may lack the bias of its dense layer as yet."""
        share = np.float32(self._share)
        scale, shift = (self.add_stored(f"{name}.{key}", getattr(norm, key) * share) for key in ("gamma", "beta"))
        product, *bias = self._biases.pop(x, (x,))
        inputs = (product, skip, scale, shift, *bias)
        # A variance is as the square of a share.
        epsilon = norm.epsilon * self._share**2
        return self.one("SkipLayerNormalization", *inputs, domain=MICROSOFT, epsilon=epsilon)

    def norm(self, x: str, name: str, norm: Norm) -> str:
        """Layer normalisation of ``x``, as `layer_norm` does that of a sum."""
        share = np.float32(self._share)
        scale, shift = (self.add_stored(f"{name}.{key}", getattr(norm, key) * share) for key in ("gamma", "beta"))
        return self.one("LayerNormalization", x, scale, shift, axis=-1, epsilon=norm.epsilon * self._share**2)

    def gelu(self, x: str) -> str:
        """The activation function of this name, of FLOAT."""
        return self.one("Gelu", x, domain=MICROSOFT)

    def self_attention(self, parts: str, mask: str, heads: int) -> str:
        """Every position attends to all; arguments as of `Graph.self_attention`."""
        return self.attention([*self.add("Split", [parts], outputs=3, axis=-1), "", mask], heads)[0]

    def attention(
        self, inputs: Sequence[str], heads: int, *, outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> list[str]:
        """Fused attention over the inputs of ``com.microsoft.MultiHeadAttention``, without a cache.

        A mask becomes a bias: with a mask of its own the kernels that store no scores do not run.

        Raises:
            ValueError: More than one output is asked for.
        """
        if outputs != 1:
            raise ValueError("a graph for GPUs keeps no caches: attention has one output")
        query, key, value, _, mask, *rest = inputs
        bias = rest[0] if rest else ""
        if mask:
            masked = self._mask_bias(mask, query)
            bias = self.one("Add", bias, masked) if bias else masked
        names = [query, key, value, "", "", bias] if bias else [query, key, value]
        return self.add("MultiHeadAttention", names, domain=MICROSOFT, num_heads=heads, **attributes)

    def embedding(self, table: Embedding, ids: str) -> str:
        """Rows of a stored table: INT32 ids (batch, length) -> hidden states (batch, length, width)."""
        return self.one("Gather", table.rows, ids)

    def store_embedding(self, name: str, table: npt.NDArray[np.float32]) -> Embedding:
        """Store a table (rows, width)."""
        return Embedding(rows=self.table(f"{name}.weight", table))

    def masked(self, mask: str) -> str:
        """What a mask INT32 (batch, length) adds to the scores, in its own shape."""
        shown = self.half(mask)  # 1 where a position may be attended to, and 0 elsewhere
        return self.one("Mul", self.one("Sub", self.number(1.0), shown), self.number(MASKED))

    def _mask_bias(self, mask: str, query: str) -> str:
        """A row of scores (batch, 1, queries, length) for each query."""
        key = f"{mask} {query}"
        if mask not in self._masks:
            self._masks[mask] = self.one("Unsqueeze", self.masked(mask), self.ints([1, 2]))
        if key not in self._masks:
            ones = self.ints([1])
            shape = self.one("Concat", ones, ones, self.dimension(query, 1), ones, axis=0)
            self._masks[key] = self.one("Expand", self._masks[mask], shape)
        return self._masks[key]
