"""DeBERTa v2 and v3 (He et al., 2021; both have the type ``deberta-v2``): content and relative positions apart."""

from __future__ import annotations

from typing import Any, Final

from infolens.contract import AnswerKind

from .record import Architecture, reads_positions


def _reads(config: Any) -> int:
    """The maximum of tokens: there is one only if absolute positions are added to the inputs (v3 has none)."""
    return reads_positions(config) if config.position_biased_input else 0


ARCHITECTURE: Final = Architecture(
    model_type="deberta-v2",
    answers=AnswerKind.LABELS,
    model_class="DebertaV2ForSequenceClassification",
    example="microsoft/deberta-v3-base",
    head=("pooler", "classifier"),
    last_layer="classifier",
    layer_lists={"deberta.encoder.layer": "num_hidden_layers"},
    layer_classes=frozenset({"DebertaV2Layer"}),
    lora_targets=("query_proj", "key_proj", "value_proj", "attention.output.dense"),
    dropout_fields=("hidden_dropout_prob", "pooler_dropout", "cls_dropout"),
    reads=_reads,
)
