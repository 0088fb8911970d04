"""BERT (Devlin et al., 2019).

An article is one text, so every token is of the first type: its vector, the same for all, is added to those of the
positions, and the graph has no token types.
"""

from __future__ import annotations

from typing import Any, Final

import onnx

from export.graph.graph import ACTIVATIONS
from export.graph.initializers import Weights
from export.graph.precision import Precision
from infolens.contract import AnswerKind

from .encoder import Dense, Encoder, LayerNames, write_encoder
from .record import Architecture, SpecialToken, Trained, known_values

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


def _write(trained: Trained, precision: Precision, weights: Weights) -> onnx.ModelProto:
    head = (Dense(name="bert.pooler.dense", activation="Tanh"), Dense(name="classifier"))
    return write_encoder(bert_like(trained, "bert", head), trained.state, precision, weights)


def bert_like(trained: Trained, name: str, head: tuple[Dense, ...], *, first_position: int = 0) -> Encoder:
    """The encoder ``name`` of a model whose weights are named as BERT's are.

    Args:
        trained: The model.
        name: Of the encoder within it, ``bert`` or ``roberta``.
        head: The dense layers behind it.
        first_position: The row of the table of positions that the first token gets.
    """
    config, state = trained.config, trained.state
    table = state[f"{name}.embeddings.position_embeddings.weight"][first_position:]
    return Encoder(
        name=name,
        tokens=f"{name}.embeddings.word_embeddings.weight",
        positions=table + state[f"{name}.embeddings.token_type_embeddings.weight"][0],
        embedding_norm=f"{name}.embeddings.LayerNorm",
        layers=tuple(f"{name}.encoder.layer.{i}" for i in range(config.num_hidden_layers)),
        parts=PARTS,
        heads=config.num_attention_heads,
        activation=config.hidden_act,
        epsilon=config.layer_norm_eps,
        head=head,
    )


def unsupported(config: Any) -> list[str]:
    """What the graph cannot express of a BERT or RoBERTa."""
    return known_values(
        config,
        hidden_act=ACTIVATIONS,
        position_embedding_type=("absolute",),
        is_decoder=(False,),
        add_cross_attention=(False,),
    )


ARCHITECTURE: Final = Architecture(
    model_type="bert",
    answers=AnswerKind.LABELS,
    model_class="BertForSequenceClassification",
    example="bert-base-uncased",
    write=_write,
    before=(SpecialToken(roles=("cls_token",)),),
    after=(SpecialToken(roles=("sep_token",)),),
    positions=lambda config: int(config.max_position_embeddings),
    unsupported=unsupported,
)
