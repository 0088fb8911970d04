"""XLNet as a graph for GPUs, with few passes over the scores of its attention.

There the scores of the relative positions, (batch, heads, length, length), take longer to move than to compute. Three
things keep them still:

* The relative shift is one strided copy (`relative_shift`).
* Padding, and the segment, are columns of queries and keys, as on CPUs: a bias need not be added for them. The products
  leave room for them: nothing is put together, for which ONNX Runtime copies lists from the host that a CUDA graph
  would read again after they are gone.
* The fused attention reads what is left as its bias, and stores no scores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx

from export.graph.gpu.columns import COLUMNS, widened
from export.graph.gpu.graph import GpuGraph
from export.graph.graph import Layout
from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS

from .record import Trained
from .relative_shift import for_all, shifted
from .xlnet_graph import TOKEN_TYPES, XLNet


def write_gpu(trained: Trained, graph: GpuGraph) -> onnx.ModelProto:
    """Write the graph; arguments, inputs and outputs as of `xlnet.write`."""
    return _XLNetOnGpu(trained, graph).build()


class _XLNetOnGpu(XLNet):
    graph: GpuGraph

    def __init__(self, trained: Trained, graph: GpuGraph) -> None:
        super().__init__(trained, graph)
        self.graph = graph
        self.columns = self.head_size + COLUMNS
        """How many a head of queries or of keys has: its own, those of types, one for the mask, and zeros."""
        self.mask_column = self.head_size + TOKEN_TYPES
        self.type_columns = slice(self.head_size, self.mask_column)

    def shapes(self) -> None:
        """Compute the tensors that depend only on the inputs."""
        graph, constant = self.graph, self.initializers.constant
        self.length = graph.dimension(INPUT_IDS.name, 1)
        self.rows = graph.dimension(INPUT_IDS.name, 0)
        limit = graph.ints([self.max_tokens])
        self.first = graph.one("Sub", limit, self.length)
        self.after_first = graph.one("Add", self.first, graph.ints([1]))
        # One distance more than there is, see above.
        self.end = graph.one("Add", graph.one("Add", limit, self.length), graph.ints([1]))
        numbers = np.full(self.columns, -1)  # No type, where a column is of none.
        numbers[self.type_columns] = np.arange(TOKEN_TYPES)
        mask_column = np.arange(self.columns) == self.mask_column
        # All of these are (batch, length, 1, columns). 1 in the column of a token's type:
        ids = graph.one("Unsqueeze", TOKEN_TYPE_IDS.name, graph.ints([2, 3]))
        types = graph.half(graph.one("Equal", ids, constant(numbers, np.int32)))
        mask = graph.one("Unsqueeze", graph.masked(ATTENTION_MASK.name), graph.ints([2, 3]))
        mask = graph.one("Mul", mask, constant(mask_column, graph.dtype))
        self.key_columns = graph.one("Add", types, mask)
        self.query_factors = graph.one("Add", types, constant(numbers < 0, graph.dtype))

    def layer(self, x: str, i: int) -> str:
        """One layer, (batch, length, width); the last one returns (batch, 1, width)."""
        graph, last = self.graph, i == self.config.n_layer - 1
        layout: Layout = "token" if last else "batch"
        layer = f"transformer.layer.{i}.rel_attn"
        residual = graph.token(x, -1) if last else x
        query, key, values = self.parts(x, residual, layer, last=last)
        content = graph.one("Mul", self.with_bias(query, layer, "r_w_bias"), self.of_queries(last=last))
        content = graph.reshape(content, [0, 0, -1])
        key = graph.reshape(graph.one("Add", self.by_head(key), self.key_columns), [0, 0, -1])
        by_position = graph.one("Transpose", self.with_bias(query, layer, "r_r_bias"), perm=[0, 2, 1, 3])
        bias = self.position_scores(by_position, layer, last=last)
        context = graph.attention([content, key, values, "", "", bias], self.heads, scale=1.0)[0]
        return self.rest(context, residual, i, layout)

    def parts(self, x: str, residual: str, layer: str, *, last: bool) -> list[str]:
        """Queries of the positions ``residual``, keys and values of all: (batch, positions, heads * columns) each."""
        graph = self.graph
        query, key, value = (self.projection(f"{layer}.{part}") for part in "qkv")
        shared = np.einsum("dnh,nh->dn", query.reshape(-1, self.heads, self.head_size), self.segments(layer))
        query, key = self.widened(query * self.scale, shared), self.widened(key)
        if last:
            asked = graph.linear(residual, f"{layer}.query", query, layout="token")
            return [asked, graph.linear(x, f"{layer}.key", key), graph.linear(x, f"{layer}.value", value)]
        product = graph.linear(x, f"{layer}.parts", np.concatenate([query, key, value], axis=1))
        # Three parts of the last axis may be of several sizes: their kernel has no lists of them.
        sizes = [part.shape[1] for part in (query, key, value)]
        return graph.add("Split", [product, graph.ints(sizes)], outputs=3, axis=-1)

    def widened(
        self, columns: npt.NDArray[np.float32], of_types: npt.NDArray[np.float32] | float = 0.0, of_mask: float = 0.0
    ) -> npt.NDArray[np.float32]:
        """Columns (rows, heads * head size) with those beside each head: (rows, heads * columns).

        Args:
            columns: Those of the heads.
            of_types: (rows, heads), for all columns of types.
            of_mask: For the column of the mask.
        """
        found = widened(columns, self.heads)
        found[..., self.type_columns] = np.asarray(of_types)[..., None]
        found[..., self.mask_column] = of_mask
        return found.reshape(len(columns), -1)

    def with_bias(self, query: str, layer: str, name: str) -> str:
        """Queries with one of the attention's biases: (batch, positions, heads, columns)."""
        bias = self.weights[f"{layer}.{name}"].reshape(1, -1) * self.scale
        if name == "r_w_bias":  # The score of the contents has the columns of types, and a 1 where keys have the mask.
            of_types = np.einsum("nh,nh->n", self.weights[f"{layer}.r_s_bias"], self.segments(layer))
            wide = self.widened(bias, of_types[None], 1.0)
        else:
            wide = self.widened(bias)
        return self.by_head(self.graph.one("Add", query, self.graph.add_stored(f"{layer}.{name}", wide[0])))

    def by_head(self, tensor: str) -> str:
        """(batch, positions, heads * columns) as (batch, positions, heads, columns)."""
        return self.graph.reshape(tensor, [0, 0, self.heads, self.columns])

    def of_queries(self, *, last: bool) -> str:
        """What the columns of queries are multiplied with; that of the last token alone."""
        return self.graph.token(self.query_factors, -1) if last else self.query_factors

    def position_scores(self, query: str, layer: str, *, last: bool) -> str:
        """Scores of the relative positions: (batch, heads, queries, length)."""
        graph = self.graph
        if last:  # The last query sees the distances length - 1 down to 0.
            keys = self.position_keys(layer, self.after_first, graph.ints([self.max_tokens + 1]))
            return graph.product(query, for_all(graph, keys, self.rows))
        keys = self.position_keys(layer, self.first, self.end)
        return shifted(graph, graph.product(query, for_all(graph, keys, self.rows)), self.length)

    def all_position_keys(self, layer: str) -> str:
        """The position keys of a layer, in the type of hidden states: (heads, columns, 2 * max_tokens + 1)."""
        graph = self.graph
        weight = self.initializers.add(f"{layer}.r", self.widened(self.projection(f"{layer}.r")))
        keys = graph.one("MatMul", self.sinusoids, weight)
        keys = graph.one("Transpose", graph.reshape(keys, [-1, self.heads, self.columns]), perm=[1, 2, 0])
        return graph.half(keys)
