"""DistilBERT (Sanh et al., 2019), as a starter too, and a BERT as a DistilBERT that computes the same.

DistilBERT is BERT without token types and pooler: the first token type's embedding is the same for every token of an
article, so it is added to the positions, and nothing is lost.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from infolens.contract import AnswerKind
from training.models.tokenization import load_tokenizer, train_wordpiece

from .layers import load_bert
from .record import Architecture, Starter

_NAMES: Final = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_POSITION_STD: Final = 0.005
"""Scale of a starter's position embeddings: positions that are seldom trained must not drown the tokens."""


def build(tokenizer: Any, *, layers: int, width: int, heads: int, dropout: float, max_length: int, labels: int) -> Any:
    """A small DistilBERT with random weights."""
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=max_length,
        n_layers=layers,
        n_heads=heads,
        dim=width,
        hidden_dim=4 * width,
        dropout=dropout,
        attention_dropout=dropout / 2,
        seq_classif_dropout=dropout,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=labels,
    )
    model: Any = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        model.distilbert.embeddings.position_embeddings.weight.normal_(std=_POSITION_STD)
    return model


def from_bert(base: str, *, labels: int, keep_layers: int = 0) -> tuple[Any, Any]:
    """Load a BERT as a ``DistilBertForSequenceClassification`` with a new head: ``(model, tokenizer)``.

    Args:
        base: A hub id or a checkpoint folder of model type ``bert``.
        labels: How many labels the new head tells.
        keep_layers: How many layers are kept, evenly spread; 0 keeps all.

    Raises:
        Unfit: It cannot be loaded.
        SettingError: It has fewer layers than ``keep_layers``.
        BaseModelError: It has what a DistilBERT cannot have.
    """
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    bert, kept = load_bert(base, keep_layers=keep_layers, made="a DistilBERT")
    shape = bert.config
    model: Any = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=shape.vocab_size,
            max_position_embeddings=shape.max_position_embeddings,
            n_layers=len(kept),
            n_heads=shape.num_attention_heads,
            dim=shape.hidden_size,
            hidden_dim=shape.intermediate_size,
            activation=shape.hidden_act,
            attention_dropout=shape.attention_probs_dropout_prob,
            pad_token_id=shape.pad_token_id,
            num_labels=labels,
        )
    )
    old = bert.state_dict()
    new = {
        "embeddings.word_embeddings.weight": old["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": old["embeddings.position_embeddings.weight"]
        + old["embeddings.token_type_embeddings.weight"][0],
    }
    for part in ("weight", "bias"):
        new[f"embeddings.LayerNorm.{part}"] = old[f"embeddings.LayerNorm.{part}"]
        for place, layer in enumerate(kept):
            for theirs, ours in _NAMES.items():
                new[f"transformer.layer.{place}.{ours}.{part}"] = old[f"encoder.layer.{layer}.{theirs}.{part}"]
    model.distilbert.load_state_dict(new)
    return model, load_tokenizer(base)


ARCHITECTURE: Final = Architecture(
    model_type="distilbert",
    answers=AnswerKind.LABELS,
    model_class="DistilBertForSequenceClassification",
    example="distilbert-base-uncased",
    head=("pre_classifier", "classifier"),
    last_layer="classifier",
    layer_lists={"distilbert.transformer.layer": "n_layers"},
    layer_classes=frozenset({"TransformerBlock"}),
    lora_targets=("q_lin", "k_lin", "v_lin", "out_lin"),
    dropout_fields=("dropout", "seq_classif_dropout"),
    made_from={"bert": from_bert},
    starter=Starter(build=build, train_tokenizer=train_wordpiece),
)
