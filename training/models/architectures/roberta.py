"""RoBERTa (Liu et al., 2019): BERT's layers, byte-level tokens, and positions that begin behind the padding's id."""

from __future__ import annotations

from typing import Any, Final

from infolens.contract import AnswerKind

from .bert import bert_objection
from .record import Architecture


def _reads(config: Any) -> int:
    return int(config.max_position_embeddings - config.pad_token_id - 1)


ARCHITECTURE: Final = Architecture(
    model_type="roberta",
    answers=AnswerKind.LABELS,
    model_class="RobertaForSequenceClassification",
    example="roberta-base",
    head=("classifier",),
    last_layer="classifier.out_proj",
    layer_lists={"roberta.encoder.layer": "num_hidden_layers"},
    layer_classes=frozenset({"RobertaLayer"}),
    lora_targets=("query", "key", "value", "attention.output.dense"),
    dropout_fields=("hidden_dropout_prob", "classifier_dropout"),
    reads=_reads,
    objection=bert_objection,
)
