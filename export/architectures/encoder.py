"""The encoder that BERT, DistilBERT and RoBERTa share, with a classification head, as a graph of fused operators.

Layers normalise after each residual (post-norm). Only the first token reaches the head, so the last layer asks for
that token alone: its queries and its feed-forward part shrink to one position. Softmax is inside the graph.

A long article can be read in windows. Each is judged by itself; the answer is the geometric mean of their
probabilities, in which a window weighs as many tokens as it has (a product of experts, Hinton, 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import onnx

from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.functions import function
from export.graph.graph import Graph, Layout, model_of, value
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from infolens.contract import ATTENTION_MASK, INPUT_IDS


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """Names of the weights of one layer, each appended to the layer's own name."""

    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    inner: str
    output: str
    output_norm: str


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A dense layer of the head."""

    name: str
    activation: str = ""
    """An ONNX operator, such as ``Tanh``; empty for none."""
    domain: str = ""
    """Domain of that operator; empty for ONNX's own."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """A model of the family, as `write_encoder` needs it."""

    name: str
    """Name of the graph."""
    tokens: str
    """Name of the table of token embeddings."""
    positions: npt.NDArray[np.float32]
    """Position vectors, added to the tokens' vectors: (positions, width)."""
    embedding_norm: str
    layers: tuple[str, ...]
    """Names of the layers, first to last."""
    parts: LayerNames
    heads: int
    activation: str
    """One of `graph.ACTIVATIONS`."""
    epsilon: float
    """Epsilon of the layer normalisations."""
    head: Sequence[Dense]
    window: int = 0
    """Tokens that are read at once, where a longer article consists of such windows; 0 where it is read at once."""


def write_encoder(
    encoder: Encoder, weights: CheckpointWeights, precision: Precision, initializers: Initializers
) -> onnx.ModelProto:
    """Write the graph.

    Args:
        encoder: Describes the model.
        weights: Its weights, under their names in ``transformers``.
        precision: Their number format in the graph.
        initializers: Where the weights are stored; empty at first.

    Returns:
        A model, see `write_encoder_on`.
    """
    return write_encoder_on(Graph(initializers, prefix="", precision=precision), encoder, weights)


def write_encoder_on(graph: Graph, encoder: Encoder, weights: CheckpointWeights) -> onnx.ModelProto:
    """Write it with a graph, empty at first, which chooses the operators and the number format.

    Returns:
        A model: ``input_ids``, ``attention_mask`` INT32 (batch, length), padded on the right -> ``probabilities``
        FLOAT (batch, classes). With windows a length above one is a multiple of it, each window is padded on the
        right, and one without a token counts for nothing.
    """
    return _Writer(graph, encoder, weights).write()


class _Writer:
    def __init__(self, graph: Graph, encoder: Encoder, weights: CheckpointWeights) -> None:
        self.graph, self.encoder, self.weights = graph, encoder, weights
        self.initializers = graph.initializers

    def write(self) -> onnx.ModelProto:
        graph, weights, encoder = self.graph, self.weights, self.encoder
        ids, self.mask = self.windows(INPUT_IDS.name), self.windows(ATTENTION_MASK.name)
        graph.read_shape(ids)
        start, length = graph.ints([0]), graph.dimension(ids, 1)
        positions = graph.one("Slice", graph.table("positions", encoder.positions), start, length, start)
        tokens = graph.embedding(graph.store_embedding("embedding", weights[encoder.tokens]), ids)
        x = self.norm(tokens, positions, encoder.embedding_norm)
        for layer in encoder.layers:
            x = self.layer(x, layer, last=layer == encoder.layers[-1])
        pooled = graph.leave(graph.one("Squeeze", x, graph.ints([1])))
        for dense in encoder.head:
            pooled = graph.dense(pooled, dense.name, weights.dense_weight(dense.name), weights.dense_bias(dense.name))
            if dense.activation:
                pooled = graph.one(dense.activation, pooled, domain=dense.domain)
        graph.one("Softmax", self.joined(pooled), output="probabilities", axis=-1)
        inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in (INPUT_IDS, ATTENTION_MASK)]
        classes = weights[f"{encoder.head[-1].name}.bias"].size
        outputs = [value("probabilities", "FLOAT", ["batch", classes])]
        return model_of(encoder.name, graph, inputs, outputs, partial(function, encoder_heads=encoder.heads))

    def windows(self, tensor: str) -> str:
        """A tensor (batch, length) as windows (windows of all articles, window), where it is longer than one."""
        graph = self.graph
        if not self.encoder.window:
            return tensor
        length = graph.one("Min", graph.dimension(tensor, 1), graph.ints([self.encoder.window]))
        return graph.one("Reshape", tensor, graph.one("Concat", graph.ints([-1]), length, axis=0))

    def joined(self, logits: str) -> str:
        """The logits of the articles (batch, classes) from those of their windows: the mean, weighted by tokens.

        Softmax of a mean of logits is the mean of the log probabilities, made to sum up to 1.
        """
        graph = self.graph
        if not self.encoder.window:
            return logits
        tokens = graph.one("Cast", self.mask, to=onnx.TensorProto.FLOAT)
        tokens = graph.one("ReduceSum", tokens, graph.ints([1]), keepdims=1)
        by_article = graph.one("Concat", graph.dimension(INPUT_IDS.name, 0), graph.ints([-1]), graph.ints([1]), axis=0)
        weights = graph.one("Reshape", tokens, by_article)
        whole = graph.one("ReduceSum", weights, graph.ints([1]), keepdims=1)
        # A row of padding alone, as in a warm-up, must not divide by zero.
        shares = graph.one("Div", weights, graph.one("Max", whole, self.initializers.constant(1.0, np.float32)))
        classes = graph.dimension(logits, 1)
        by_window = graph.one("Concat", graph.dimension(INPUT_IDS.name, 0), graph.ints([-1]), classes, axis=0)
        weighted = graph.one("Mul", graph.one("Reshape", logits, by_window), shares)
        return graph.one("ReduceSum", weighted, graph.ints([1]), keepdims=0)

    def layer(self, x: str, layer: str, *, last: bool) -> str:
        """One layer, (batch, length, width); the last one returns (batch, 1, width)."""
        graph, parts, heads = self.graph, self.encoder.parts, self.encoder.heads
        q, k, v = (f"{layer}.{part}" for part in (parts.query, parts.key, parts.value))
        layout: Layout = "token" if last else "batch"
        residual = x
        if last:
            residual = graph.token(x, 0)
            pair = self.linear(x, k, v)
            separate = [self.linear(residual, q, layout=layout), *graph.add("Split", [pair], outputs=2, axis=-1)]
            context = graph.attention([*separate, "", self.mask], heads)[0]
        else:
            context = graph.self_attention(self.linear(x, q, k, v), self.mask, heads)
        mixed = self.linear(context, f"{layer}.{parts.attention_output}", layout=layout, to_norm=True)
        x = self.norm(mixed, residual, f"{layer}.{parts.attention_norm}")
        inner = self.linear(x, f"{layer}.{parts.inner}", layout=layout, activation=self.encoder.activation)
        output = self.linear(inner, f"{layer}.{parts.output}", layout=layout, to_norm=True)
        return self.norm(output, x, f"{layer}.{parts.output_norm}")

    def linear(self, x: str, *names: str, layout: Layout = "batch", activation: str = "", to_norm: bool = False) -> str:
        """The dense layers ``names`` side by side."""
        weight, bias = self.weights.dense_weight(*names), self.weights.dense_bias(*names)
        name = "+".join(names)
        return self.graph.linear(x, name, weight, bias, layout=layout, activation=activation, to_norm=to_norm)

    def norm(self, x: str, skip: str, name: str) -> str:
        return self.graph.layer_norm(x, skip, name, self.weights.norm(name, self.encoder.epsilon))
