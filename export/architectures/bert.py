"""BERT (Devlin et al., 2019).

An article is one text, so every token has token type 0: the vector of that type is added to the position table, and
the graph has no input for token types.
"""

from __future__ import annotations

from typing import Any, Final

import onnx

from export.graph.graph import ACTIVATIONS, Graph
from infolens.contract import AnswerKind

from .encoder import Dense, Encoder, LayerNames, write_encoder_on
from .record import Architecture, SpecialToken, Trained, known_values, on_cpu

PARTS: Final = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    attention_output="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    inner="intermediate.dense",
    output="output.dense",
    output_norm="output.LayerNorm",
)
"""Names of the parts of a layer, in RoBERTa too."""


def _write(trained: Trained, graph: Graph) -> onnx.ModelProto:
    head = (Dense(name="bert.pooler.dense", activation="Tanh"), Dense(name="classifier"))
    return write_encoder_on(graph, bert_like(trained, "bert", head), trained.weights)


def bert_like(trained: Trained, name: str, head: tuple[Dense, ...], *, first_position: int = 0) -> Encoder:
    """The encoder ``name`` of a model whose weights are named as BERT's are.

    Args:
        trained: The model.
        name: Name of the encoder within it, such as ``bert`` or ``roberta``.
        head: The dense layers after it.
        first_position: The row of the table of positions that the first token gets.
    """
    config, weights = trained.config, trained.weights
    table = weights[f"{name}.embeddings.position_embeddings.weight"][first_position:]
    return Encoder(
        name=name,
        tokens=f"{name}.embeddings.word_embeddings.weight",
        positions=table + weights[f"{name}.embeddings.token_type_embeddings.weight"][0],
        embedding_norm=f"{name}.embeddings.LayerNorm",
        layers=tuple(f"{name}.encoder.layer.{i}" for i in range(config.num_hidden_layers)),
        parts=PARTS,
        heads=config.num_attention_heads,
        activation=config.hidden_act,
        epsilon=config.layer_norm_eps,
        head=head,
        window=trained.window,
    )


def unsupported(config: Any) -> list[str]:
    """The fields of a BERT's or RoBERTa's configuration that the graph cannot express."""
    types = config.type_vocab_size
    few = [] if types else [f"type_vocab_size={types} (known: 1 and more, for every token has a type)"]
    known = known_values(
        config,
        hidden_act=ACTIVATIONS,
        position_embedding_type=("absolute",),
        is_decoder=(False,),
        add_cross_attention=(False,),
    )
    return known + few


ARCHITECTURE: Final = Architecture(
    model_type="bert",
    answers=AnswerKind.LABELS,
    model_class="BertForSequenceClassification",
    example="bert-base-uncased",
    write=on_cpu(_write),
    write_on=_write,
    before=(SpecialToken(roles=("cls_token",)),),
    after=(SpecialToken(roles=("sep_token",)),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=unsupported,
    windows=True,
)
