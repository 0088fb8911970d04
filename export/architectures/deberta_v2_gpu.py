"""DeBERTa version 2 and 3 with its classification head as a graph for GPUs: its disentangled attention.

A score is the sum of three (He et al., 2021, equation 4): content to content, content to position and position to
content. A position is a bucket of the distance between query and key, narrow near 0 and wide far away. The vectors of
the buckets pass the projections of queries and keys, too, which depends on no input: it is done at the export.

Written out naively, the scores of the buckets are gathered by an index as large as all scores. Here the vectors are
laid out by distance instead, so that the scores are shifted row by row, as in `relative_shift`. Padding is a column of
queries and keys, for which their products leave room. The fused attention reads the rest as its bias.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx

from export.graph.functions import function
from export.graph.gpu.columns import COLUMNS, widened
from export.graph.gpu.graph import GpuGraph
from export.graph.graph import ACTIVATIONS, Layout, model_of, value
from infolens.contract import ATTENTION_MASK, INPUT_IDS

from .record import Trained, known_values
from .relative_shift import for_all, shifted

_KINDS: Final = 3
"""Kinds of scores, which share a scale."""


def write_gpu(trained: Trained, graph: GpuGraph) -> onnx.ModelProto:
    """Write the graph.

    Args:
        trained: The configuration and the weights of ``DebertaV2ForSequenceClassification``; ``max_tokens`` bounds the
            distances that are prepared.
        graph: Empty at first; it chooses the number format.

    Returns:
        A model: ``input_ids``, ``attention_mask`` INT32 (batch, length), padded on the right -> ``probabilities``
        FLOAT (batch, classes).
    """
    return _DeBERTa(trained, graph).build()


def unsupported(config: Any) -> list[str]:
    """The fields of a configuration that this graph cannot express."""
    kinds = config.pos_att_type
    kinds = kinds if isinstance(kinds, str) else "|".join(kinds or ())
    other = [] if set(kinds.split("|")) == {"c2p", "p2c"} else [f"pos_att_type={kinds!r} (known: 'c2p|p2c')"]
    return other + known_values(
        config,
        hidden_act=ACTIVATIONS,
        pooler_hidden_act=("gelu",),
        relative_attention=(True,),
        share_att_key=(True,),
        norm_rel_ebd=("layer_norm",),
        position_biased_input=(False,),
        type_vocab_size=(0,),
        conv_kernel_size=(0,),
        embedding_size=(config.hidden_size,),
    )


def buckets(distances: npt.NDArray[np.int64], span: int, longest: int) -> npt.NDArray[np.int64]:
    """The bucket of each distance, from ``-span`` to ``span``.

    Distances up to half of the span have a bucket each, and those up to ``longest`` share the rest, by their logarithm.
    With a span of 0 every distance has its own.

    Args:
        distances: Position of the query minus that of the key.
        span: Buckets on either side of 0.
        longest: The longest distance that the model was made for.
    """
    if span <= 0:
        return distances
    middle = span // 2
    size = np.maximum(np.abs(distances), middle).astype(np.float32)
    scale = np.log(np.float32((longest - 1) / middle))
    by_logarithm = np.ceil(np.log(size / np.float32(middle)) / scale * np.float32(middle - 1)).astype(np.int64) + middle
    near = np.abs(distances) <= middle
    return np.where(near, distances, by_logarithm * np.sign(distances))


class _DeBERTa:
    def __init__(self, trained: Trained, graph: GpuGraph) -> None:
        self.config = config = trained.config
        self.weights, self.max_tokens = trained.weights, trained.max_tokens
        self.heads: int = config.num_attention_heads
        self.head_size: int = config.hidden_size // self.heads
        self.scale = float(_KINDS * self.head_size) ** -0.5
        self.graph, self.initializers = graph, graph.initializers
        longest = getattr(config, "max_relative_positions", -1)
        longest = longest if longest > 0 else config.max_position_embeddings
        self.buckets = int(getattr(config, "position_buckets", -1))
        span = self.buckets if self.buckets > 0 else longest
        distances = np.arange(self.max_tokens, -self.max_tokens - 1, -1)
        rows = np.clip(buckets(distances, self.buckets, longest) + span, 0, 2 * span - 1)
        self.descending = self.initializers.add("descending", rows)
        self.ascending = self.initializers.add("ascending", np.ascontiguousarray(rows[::-1]))
        self.positions = self._position_vectors(2 * span)

    def _position_vectors(self, rows: int) -> npt.NDArray[np.float32]:
        """The normalised vectors of the buckets: (buckets, width)."""
        table = self.weights["deberta.encoder.rel_embeddings.weight"][:rows]
        norm = self.weights.norm("deberta.encoder.LayerNorm", self.config.layer_norm_eps)
        centred = table - table.mean(1, keepdims=True)
        variance = np.square(centred).mean(1, keepdims=True)
        vectors: npt.NDArray[np.float32] = centred / np.sqrt(variance + norm.epsilon) * norm.gamma + norm.beta
        return vectors

    def build(self) -> onnx.ModelProto:
        graph, weights, config = self.graph, self.weights, self.config
        self.shapes()
        table = weights["deberta.embeddings.word_embeddings.weight"]
        x = graph.embedding(graph.store_embedding("embedding", table), INPUT_IDS.name)
        x = graph.norm(x, "embedding_norm", weights.norm("deberta.embeddings.LayerNorm", config.layer_norm_eps))
        for i in range(config.num_hidden_layers):
            x = self.layer(x, f"deberta.encoder.layer.{i}", last=i == config.num_hidden_layers - 1)
        pooled = graph.leave(graph.one("Squeeze", x, graph.ints([1])))
        pooled = self.dense(pooled, "pooler.dense")
        pooled = graph.gelu(pooled)
        graph.one("Softmax", self.dense(pooled, "classifier"), output="probabilities", axis=-1)
        inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in (INPUT_IDS, ATTENTION_MASK)]
        outputs = [value("probabilities", "FLOAT", ["batch", weights["classifier.bias"].size])]
        return model_of("deberta", graph, inputs, outputs, function)

    def dense(self, x: str, name: str) -> str:
        weights = self.weights
        return self.graph.dense(x, name, weights.dense_weight(name), weights.dense_bias(name))

    def shapes(self) -> None:
        """Compute the tensors that depend only on the inputs."""
        graph = self.graph
        self.length, self.rows = (graph.dimension(INPUT_IDS.name, axis) for axis in (1, 0))
        limit = graph.ints([self.max_tokens])
        self.first = graph.one("Sub", limit, self.length)
        self.end = graph.one("Add", graph.one("Add", limit, self.length), graph.ints([1]))
        mask = graph.one("Unsqueeze", graph.masked(ATTENTION_MASK.name), graph.ints([2, 3]))
        column = np.arange(self.head_size + COLUMNS) == self.head_size
        # (batch, length, 1, columns): the mask in the first column after those of a head.
        self.key_columns = graph.one("Mul", mask, self.initializers.constant(column, graph.dtype))

    def layer(self, x: str, layer: str, *, last: bool) -> str:
        """One layer, (batch, length, width); the last one returns (batch, 1, width)."""
        graph = self.graph
        attention = f"{layer}.attention.self"
        names = [f"{attention}.{part}_proj" for part in ("query", "key", "value")]
        query, key, values = self.parts(x, *names)
        bias = graph.one(
            "Add",
            self.position_scores(query, names[1], self.descending),
            graph.one("Transpose", self.position_scores(key, names[0], self.ascending), perm=[0, 1, 3, 2]),
        )
        query = graph.reshape(query, [0, 0, -1])
        key = graph.reshape(graph.one("Add", key, self.key_columns), [0, 0, -1])
        context = graph.attention([query, key, values, "", "", bias], self.heads, scale=self.scale)[0]
        layout: Layout = "batch"
        if last:  # The first token alone reaches the head.
            context, x, layout = graph.token(context, 0), graph.token(x, 0), "token"
        mixed = self.linear(context, f"{layer}.attention.output.dense", layout=layout, to_norm=True)
        x = self.norm(mixed, x, f"{layer}.attention.output.LayerNorm")
        inner = self.linear(x, f"{layer}.intermediate.dense", layout=layout, activation=self.config.hidden_act)
        output = self.linear(inner, f"{layer}.output.dense", layout=layout, to_norm=True)
        return self.norm(output, x, f"{layer}.output.LayerNorm")

    def parts(self, x: str, query: str, key: str, value: str) -> list[str]:
        """Queries and keys (batch, length, heads, columns), and values (batch, length, width), of these projections."""
        graph = self.graph
        wide = [
            np.concatenate([self.weights.dense_weight(name), self.weights.dense_bias(name)[None]])
            for name in (query, key, value)
        ]
        wide[:2] = (widened(one, self.heads) for one in wide[:2])
        wide[0][-1, :, self.head_size] = 1  # Queries have a 1 where keys have their mask.
        columns = [one.reshape(len(one), -1) for one in wide]
        joined = np.concatenate(columns, axis=1)
        product = graph.linear(x, "+".join((query, key, value)), joined[:-1], joined[-1])
        # Three parts of the last axis may be of several sizes: their kernel has no lists of them.
        sizes = graph.ints([one.shape[1] for one in columns])
        *both, values = graph.add("Split", [product, sizes], outputs=3, axis=-1)
        shape = [0, 0, self.heads, self.head_size + COLUMNS]
        return [*(graph.reshape(one, shape) for one in both), values]

    def position_scores(self, content: str, projection: str, order: str) -> str:
        """Scores of contents (batch, length, heads, columns) with positions: (batch, heads, length, length).

        Args:
            content: Queries or keys.
            projection: The layer that makes the other side of them from the positions.
            order: The buckets by distance, as the columns of a row run.
        """
        graph = self.graph
        vectors = self.positions @ self.weights.dense_weight(projection) + self.weights.dense_bias(projection)
        by_head = widened(vectors, self.heads).transpose(1, 2, 0) * self.scale
        stored = graph.add_stored(f"{projection}.positions", np.ascontiguousarray(by_head, np.float32))
        by_distance = graph.one("Gather", stored, order, axis=2)
        by_distance = graph.one("Slice", by_distance, self.first, self.end, graph.ints([2]))
        by_content = graph.one("Transpose", content, perm=[0, 2, 1, 3])
        return shifted(graph, graph.product(by_content, for_all(graph, by_distance, self.rows)), self.length)

    def linear(self, x: str, *names: str, layout: Layout = "batch", activation: str = "", to_norm: bool = False) -> str:
        weight, bias = self.weights.dense_weight(*names), self.weights.dense_bias(*names)
        name = "+".join(names)
        return self.graph.linear(x, name, weight, bias, layout=layout, activation=activation, to_norm=to_norm)

    def norm(self, x: str, skip: str, name: str) -> str:
        return self.graph.layer_norm(x, skip, name, self.weights.norm(name, self.config.layer_norm_eps))
