"""BERT (Devlin et al., 2019). With ``convert_to=distilbert`` it becomes a DistilBERT, see there."""

from __future__ import annotations

from typing import Any, Final

from infolens.contract import AnswerKind

from .record import Architecture


def bert_objection(config: Any) -> str:
    """`transformers` computes absolute positions whatever an older configuration says, and every token has a type."""
    if not config.type_vocab_size:
        return f"its type_vocab_size is {config.type_vocab_size}, and every token has a type"
    kind = getattr(config, "position_embedding_type", None) or "absolute"
    return "" if kind == "absolute" else f"its position_embedding_type is {kind}, which transformers has no code for"


ARCHITECTURE: Final = Architecture(
    model_type="bert",
    answers=AnswerKind.LABELS,
    model_class="BertForSequenceClassification",
    example="bert-base-uncased",
    head=("bert.pooler", "classifier"),
    last_layer="classifier",
    layer_lists={"bert.encoder.layer": "num_hidden_layers"},
    layer_classes=frozenset({"BertLayer"}),
    lora_targets=("query", "key", "value", "attention.output.dense"),
    dropout_fields=("hidden_dropout_prob", "classifier_dropout"),
    objection=bert_objection,
)
