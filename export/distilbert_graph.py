"""DistilBERT with its classification head as an ONNX graph of fused operators, softmax inside.

Only the first token reaches the head, so the last layer asks for the first token alone: its queries and its
feed-forward part shrink to one position.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import onnx

from infolens.contract import ATTENTION_MASK, INPUT_IDS

from .functions import function
from .graph import Graph, Layout, Precision, model_of, value
from .state import State
from .weights import Weights

_EPSILON: Final = 1e-12


def build_distilbert(config: Any, state: State, precision: Precision, weights: Weights) -> onnx.ModelProto:
    """Write the graph.

    Args:
        config: ``transformers.DistilBertConfig`` of the checkpoint.
        state: The weights of ``DistilBertForSequenceClassification``.
        precision: Number format of the weights.
        weights: Where the weights go; empty.

    Returns:
        A model: ``input_ids``, ``attention_mask`` INT32 (batch, length) -> ``probabilities`` FLOAT (batch, classes).
    """
    graph = Graph(weights, prefix="", precision=precision)
    graph.read_shape(INPUT_IDS.name)
    name = "distilbert.embeddings.position_embeddings.weight"
    start, length = graph.ints([0]), graph.dimension(INPUT_IDS.name, 1)
    positions = graph.one("Slice", weights.add(name, state[name]), start, length, start)
    table = graph.store_embedding("embedding", state["distilbert.embeddings.word_embeddings.weight"])
    tokens = graph.embedding(table, INPUT_IDS.name)
    name = "distilbert.embeddings.LayerNorm"
    x = graph.layer_norm(tokens, positions, name, state.norm(name, _EPSILON))
    for i in range(config.n_layers):
        x = _layer(graph, x, f"distilbert.transformer.layer.{i}", config, state, last=i == config.n_layers - 1)
    pooled = graph.one("Squeeze", x, graph.ints([1]))
    for name in ("pre_classifier", "classifier"):
        pooled = graph.dense(pooled, name, state.weight(name), state.bias(name))
        if name == "pre_classifier":
            pooled = graph.one("Relu", pooled)
    graph.one("Softmax", pooled, output="probabilities", axis=-1)
    inputs = [value(tensor.name, "INT32", ["batch", "length"]) for tensor in (INPUT_IDS, ATTENTION_MASK)]
    outputs = [value("probabilities", "FLOAT", ["batch", state["classifier.bias"].size])]
    return model_of("distilbert", graph, inputs, outputs, partial(function, encoder_heads=config.n_heads))


def _layer(graph: Graph, x: str, layer: str, config: Any, state: State, *, last: bool) -> str:
    """One transformer layer, (batch, length, width); the last one returns (batch, 1, width)."""
    q, k, v = (f"{layer}.attention.{part}_lin" for part in "qkv")
    layout: Layout = "token" if last else "batch"
    residual = x
    if last:
        residual = graph.token(x, 0)
        query = graph.linear(residual, q, state.weight(q), state.bias(q), layout=layout)
        pair = graph.linear(x, f"{k}+{v}", state.weight(k, v), state.bias(k, v))
        parts = [query, *graph.add("Split", [pair], outputs=2, axis=-1)]
        context = graph.attention([*parts, "", ATTENTION_MASK.name], config.n_heads)[0]
    else:
        together = graph.linear(x, f"{q}+{k}+{v}", state.weight(q, k, v), state.bias(q, k, v))
        context = graph.self_attention(together, ATTENTION_MASK.name, config.n_heads)
    x = _residual(graph, context, residual, f"{layer}.attention.out_lin", f"{layer}.sa_layer_norm", state, layout)
    name = f"{layer}.ffn.lin1"
    inner = graph.linear(x, name, state.weight(name), state.bias(name), layout=layout, activation=config.activation)
    return _residual(graph, inner, x, f"{layer}.ffn.lin2", f"{layer}.output_layer_norm", state, layout)


def _residual(graph: Graph, x: str, skip: str, dense: str, norm: str, state: State, layout: Layout) -> str:
    mixed = graph.linear(x, dense, state.weight(dense), state.bias(dense), layout=layout)
    return graph.layer_norm(mixed, skip, norm, state.norm(norm, _EPSILON))
