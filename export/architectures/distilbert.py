"""DistilBERT (Sanh et al., 2019): BERT without token types and pooler."""

from __future__ import annotations

from typing import Any, Final

import onnx

from export.graph.graph import ACTIVATIONS, Graph
from infolens.contract import AnswerKind

from .encoder import Dense, Encoder, LayerNames, write_encoder_on
from .record import Architecture, SpecialToken, Trained, known_values, on_cpu

_EMBEDDINGS: Final = "distilbert.embeddings"
_PARTS: Final = LayerNames(
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    attention_output="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    output="ffn.lin2",
    output_norm="output_layer_norm",
)


def _write(trained: Trained, graph: Graph) -> onnx.ModelProto:
    config, weights = trained.config, trained.weights
    encoder = Encoder(
        name="distilbert",
        tokens=f"{_EMBEDDINGS}.word_embeddings.weight",
        positions=weights[f"{_EMBEDDINGS}.position_embeddings.weight"],
        embedding_norm=f"{_EMBEDDINGS}.LayerNorm",
        layers=tuple(f"distilbert.transformer.layer.{i}" for i in range(config.n_layers)),
        parts=_PARTS,
        heads=config.n_heads,
        activation=config.activation,
        epsilon=1e-12,
        head=(Dense(name="pre_classifier", activation="Relu"), Dense(name="classifier")),
        window=trained.window,
    )
    return write_encoder_on(graph, encoder, weights)


def _unsupported(config: Any) -> list[str]:
    return known_values(config, activation=ACTIVATIONS)


ARCHITECTURE: Final = Architecture(
    model_type="distilbert",
    answers=AnswerKind.LABELS,
    model_class="DistilBertForSequenceClassification",
    example="distilbert-base-uncased",
    write=on_cpu(_write),
    write_on=_write,
    before=(SpecialToken(roles=("cls_token",)),),
    after=(SpecialToken(roles=("sep_token",)),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=_unsupported,
    windows=True,
)
