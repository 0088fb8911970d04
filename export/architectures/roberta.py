"""RoBERTa (Liu et al., 2019): BERT's encoder with another head, and positions that start after the padding id."""

from __future__ import annotations

from typing import Any, Final

import onnx

from export.graph.graph import Graph
from infolens.contract import AnswerKind

from .bert import bert_like, unsupported
from .encoder import Dense, write_encoder_on
from .record import Architecture, SpecialToken, Trained, on_cpu


def _first_position(config: Any) -> int:
    """The row of the first position: rows up to the padding token's id are not used for positions."""
    return int(config.pad_token_id) + 1


def _write(trained: Trained, graph: Graph) -> onnx.ModelProto:
    head = (Dense(name="classifier.dense", activation="Tanh"), Dense(name="classifier.out_proj"))
    encoder = bert_like(trained, "roberta", head, first_position=_first_position(trained.config))
    return write_encoder_on(graph, encoder, trained.weights)


ARCHITECTURE: Final = Architecture(
    model_type="roberta",
    answers=AnswerKind.LABELS,
    model_class="RobertaForSequenceClassification",
    example="roberta-base",
    write=on_cpu(_write),
    write_on=_write,
    before=(SpecialToken(roles=("cls_token", "bos_token")),),
    after=(SpecialToken(roles=("sep_token", "eos_token")),),
    positions=lambda config: int(config.max_position_embeddings) - _first_position(config),
    unsupported=unsupported,
    windows=True,
)
