"""XLNet with its classification head as an ONNX graph, softmax inside.

An attention score of XLNet is the sum of three: content, relative position and segment. Written out naively each is
a tensor (batch, heads, length, length). Here the content and the segment are ONE product: the segment score of a
query i and a key j is ``e0(i)`` where the two share a token type and ``e1(i)`` where they do not; ``e1(i)`` is the
same for all keys, so it cancels out in softmax, and what is left, ``(e0 - e1)(i) * [type(i) = type(j)]``, is a dot
product of one-hot types that is appended to the heads of queries and keys. Where keys must be as wide as values, the
segment is a part of the bias instead. The relative position is the bias of the fused attention. Only the last token
(``<cls>``) reaches the head, so the last layer asks for that token alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import onnx

from export.graph.functions import function
from export.graph.graph import Graph, Layout, model_of, value
from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS

from .record import Trained

TOKEN_TYPES: Final = 4
"""Token types of XLNet: first and second text, ``<cls>``, padding."""


class XLNet:
    """Writes the graph; see `xlnet.write`."""

    def __init__(self, trained: Trained, graph: Graph) -> None:
        self.config = config = trained.config
        self.weights = trained.weights
        self.max_tokens = trained.max_tokens
        self.heads: int = config.n_head
        self.head_size: int = config.d_head
        self.inner = self.heads * self.head_size
        self.scale = self.head_size**-0.5
        self.graph, self.initializers = graph, graph.initializers

    def positions(self) -> str:
        """Sinusoids of all distances from ``max_tokens`` down to ``-max_tokens``: (2 * max_tokens + 1, width).

        They are computed from constants, which the session folds at load: the file stays small.
        """
        graph, number = self.graph, self.initializers.constant
        bounds = [number(float(bound), np.float32) for bound in (self.max_tokens, -self.max_tokens - 1, -1)]
        distances = graph.one("Range", *bounds)
        if self.config.clamp_len > 0:
            limits = [number(float(limit), np.float32) for limit in (-self.config.clamp_len, self.config.clamp_len)]
            distances = graph.one("Clip", distances, *limits)
        steps = np.arange(0, self.config.d_model, 2, dtype=np.float32) / self.config.d_model
        frequencies = self.initializers.add("frequencies", (1 / np.power(np.float32(10000), steps))[None, :])
        angles = graph.one("Mul", graph.one("Unsqueeze", distances, graph.ints([1])), frequencies)
        return graph.one("Concat", graph.one("Sin", angles), graph.one("Cos", angles), axis=-1)

    def position_keys(self, layer: str, start: str, end: str) -> str:
        """Rows ``start`` to ``end`` of the position keys of a layer: (heads, head size, rows)."""
        return self.graph.one("Slice", self.all_position_keys(layer), start, end, self.graph.ints([2]))

    def all_position_keys(self, layer: str) -> str:
        """The position keys of a layer: FLOAT (heads, head size, 2 * max_tokens + 1). They depend on no input."""
        graph = self.graph
        weight = self.initializers.add(f"{layer}.r", self.projection(f"{layer}.r"))
        keys = graph.one("MatMul", self.sinusoids, weight)
        return graph.one("Transpose", graph.reshape(keys, [-1, self.heads, self.head_size]), perm=[1, 2, 0])

    def stored(self, name: str, value: npt.NDArray[np.float32]) -> str:
        """Store a vector in the type of hidden states."""
        return self.initializers.add(name, value)

    def projection(self, name: str) -> npt.NDArray[np.float32]:
        """A weight of the attention as a matrix (width, heads * head size)."""
        return self.weights[name].reshape(self.config.d_model, self.inner)

    def vector(self, tensor: str, layer: str, name: str) -> str:
        """Add one of the attention's biases, scaled as the queries are; returns (batch, length, heads, head size)."""
        stored = self.stored(f"{layer}.{name}", self.weights[f"{layer}.{name}"].reshape(-1) * self.scale)
        summed = self.graph.one("Add", tensor, stored)
        return self.graph.reshape(summed, [0, 0, self.heads, self.head_size])

    def layer(self, x: str, i: int) -> str:
        """One layer, (batch, length, width); the last one returns (batch, 1, width)."""
        graph, last = self.graph, i == self.config.n_layer - 1
        layout: Layout = "token" if last else "batch"
        layer = f"transformer.layer.{i}.rel_attn"
        residual = graph.token(x, -1) if last else x
        types = graph.token(self.types, -1) if last else self.types
        query, same, key, values = self.projected(x, residual, layer, layout)
        same = graph.one("Unsqueeze", same, graph.ints([-1]))
        same = graph.one("Mul", same, graph.one("Unsqueeze", types, graph.ints([2])))
        content = self.vector(query, layer, "r_w_bias")
        if graph.equal_widths:
            content = graph.reshape(content, [0, 0, -1])
        else:
            content = graph.reshape(graph.one("Concat", content, same, axis=-1), [0, 0, -1])
            key = graph.one("Concat", graph.reshape(key, [0, 0, self.heads, self.head_size]), self.key_types, axis=-1)
            key = graph.reshape(key, [0, 0, -1])
        by_position = graph.one("Transpose", self.vector(query, layer, "r_r_bias"), perm=[0, 2, 1, 3])
        bias = self.position_scores(by_position, layer, last=last)
        if graph.equal_widths:
            by_segment = graph.one("Transpose", same, perm=[0, 2, 1, 3])  # (batch, heads, queries, types)
            bias = graph.one("Add", bias, graph.product(by_segment, self.types_of_keys))
        inputs = [content, key, values, "", ATTENTION_MASK.name, bias]
        context = graph.attention(inputs, self.heads, scale=1.0)[0]
        return self.rest(context, residual, i, layout)

    def projected(self, x: str, residual: str, layer: str, layout: Layout) -> tuple[str, str, str, str]:
        """Queries of the positions ``residual``, what a shared token type adds to their scores, keys and values of all.

        All but the second are (batch, positions, heads * head size); that one is (batch, positions, heads).
        """
        graph = self.graph
        segments = self.segments(layer)
        query_weight = self.projection(f"{layer}.q")
        by_head = query_weight.reshape(-1, self.heads, self.head_size)
        # The queries and, for each head, what a shared token type adds to the score.
        shared = np.einsum("dnh,nh->dn", by_head, segments)
        query_weight = np.concatenate([query_weight * self.scale, shared], axis=1)
        pair_weight = np.concatenate([self.projection(f"{layer}.k"), self.projection(f"{layer}.v")], axis=1)
        both = graph.linear(residual, f"{layer}.query", query_weight.astype(np.float32), layout=layout)
        query, same = graph.add("Split", [both, graph.ints([self.inner, self.heads])], outputs=2, axis=-1)
        key, values = graph.add("Split", [graph.linear(x, f"{layer}.pair", pair_weight)], outputs=2, axis=-1)
        same_bias = np.einsum("nh,nh->n", self.weights[f"{layer}.r_s_bias"], segments).astype(np.float32)
        return query, graph.one("Add", same, self.stored(f"{layer}.same.bias", same_bias)), key, values

    def segments(self, layer: str) -> npt.NDArray[np.float32]:
        """What the queries are multiplied with where a token type is shared: (heads, head size)."""
        of_same, of_other = self.weights[f"{layer}.seg_embed"]
        found: npt.NDArray[np.float32] = (of_same - of_other) * self.scale
        return found

    def rest(self, context: str, residual: str, i: int, layout: Layout) -> str:
        """What follows the attention of a layer."""
        layer = f"transformer.layer.{i}.rel_attn"
        weight = self.projection(f"{layer}.o").T
        mixed = self.graph.linear(context, f"{layer}.o", weight, layout=layout, to_norm=True)
        x = self.norm(mixed, residual, f"{layer}.layer_norm")
        return self.feed_forward(x, f"transformer.layer.{i}.ff", layout)

    def position_scores(self, query: str, layer: str, *, last: bool) -> str:
        """Scores of the relative positions: (batch, heads, queries, length)."""
        graph = self.graph
        if last:  # The last query sees the distances length - 1 down to 0.
            keys = self.position_keys(layer, self.after_first, graph.ints([self.max_tokens + 1]))
            return graph.product(query, keys)
        scores = graph.product(query, self.position_keys(layer, self.first, self.end))
        # The relative shift of Transformer-XL: row i moves left by length - i.
        shifted = graph.one("Reshape", scores, self.tall)  # (batch, heads, 2 * length, length)
        shifted = graph.one("Slice", shifted, graph.ints([1]), graph.ints([np.iinfo(np.int64).max]), graph.ints([2]))
        shifted = graph.one("Reshape", shifted, self.wide)  # (batch, heads, length, 2 * length - 1)
        return graph.one("Slice", shifted, graph.ints([0]), self.length, graph.ints([3]))

    def feed_forward(self, x: str, name: str, layout: Layout) -> str:
        """The feed-forward part of a layer, and its normalisation."""
        first, second = f"{name}.layer_1", f"{name}.layer_2"
        inner = self.dense(x, first, layout, self.config.ff_activation)
        return self.norm(self.dense(inner, second, layout, to_norm=True), x, f"{name}.layer_norm")

    def dense(self, x: str, name: str, layout: Layout, activation: str = "", *, to_norm: bool = False) -> str:
        """A dense layer; arguments as of `Graph.linear`."""
        weight, bias = self.weights.dense_weight(name), self.weights.dense_bias(name)
        return self.graph.linear(x, name, weight, bias, layout=layout, activation=activation, to_norm=to_norm)

    def norm(self, x: str, skip: str, name: str) -> str:
        """The normalisation ``name`` of ``x + skip``."""
        return self.graph.layer_norm(x, skip, name, self.weights.norm(name, self.config.layer_norm_eps))

    def shapes(self) -> None:
        """Compute the tensors that depend only on the length of the batch."""
        graph = self.graph
        graph.read_shape(INPUT_IDS.name)
        self.length = graph.dimension(INPUT_IDS.name, 1)
        double = graph.one("Add", self.length, self.length)
        limit = graph.ints([self.max_tokens])
        self.first = graph.one("Sub", limit, self.length)
        self.after_first = graph.one("Add", self.first, graph.ints([1]))
        self.end = graph.one("Add", limit, self.length)
        kept = graph.ints([0, 0])
        self.tall = graph.one("Concat", kept, double, self.length, axis=0)
        self.wide = graph.one("Concat", kept, self.length, graph.one("Sub", double, graph.ints([1])), axis=0)
        known = self.initializers.constant(np.arange(TOKEN_TYPES), np.int32)
        types = graph.one("Unsqueeze", TOKEN_TYPE_IDS.name, graph.ints([-1]))
        self.types = graph.one("Cast", graph.one("Equal", types, known), to=onnx.TensorProto.FLOAT)
        if graph.equal_widths:  # (batch, 1, types, length)
            by_type = graph.one("Transpose", self.types, perm=[0, 2, 1])
            self.types_of_keys = graph.one("Unsqueeze", by_type, graph.ints([1]))
            return
        ones = self.initializers.constant(np.ones((self.heads, 1)), np.float32)
        self.key_types = graph.one("Mul", graph.one("Unsqueeze", self.types, graph.ints([2])), ones)

    def build(self) -> onnx.ModelProto:
        """The model."""
        graph, weights = self.graph, self.weights
        self.shapes()
        self.sinusoids = self.positions()
        x = graph.embedding(
            graph.store_embedding("embedding", weights["transformer.word_embedding.weight"]), INPUT_IDS.name
        )
        for i in range(self.config.n_layer):
            x = self.layer(x, i)
        pooled = graph.leave(graph.one("Squeeze", x, graph.ints([1])))
        if self.config.summary_use_proj:
            name = "sequence_summary.summary"
            pooled = graph.dense(pooled, name, weights.dense_weight(name), weights.dense_bias(name))
        if self.config.summary_activation == "tanh":
            pooled = graph.one("Tanh", pooled)
        logits = graph.dense(
            pooled, "logits_proj", weights.dense_weight("logits_proj"), weights.dense_bias("logits_proj")
        )
        graph.one("Softmax", logits, output="probabilities", axis=-1)
        tensors = (INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS)
        inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in tensors]
        outputs = [value("probabilities", "FLOAT", ["batch", weights["logits_proj.bias"].size])]
        return model_of("xlnet", graph, inputs, outputs, function)
