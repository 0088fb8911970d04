"""A BERT as a DistilBERT that computes the same, so that any small BERT can be a category model's base.

DistilBERT is BERT without token types and pooler (Sanh et al., 2019): the first token type's embedding is the same for
every token of an article, so it is added to the positions, and nothing is lost.
"""

from __future__ import annotations

from typing import Any, Final

from .errors import BaseModelError

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


def load_bert(base: str, hint: str, *, classes: int) -> tuple[Any, Any]:
    """Load a BERT as a ``DistilBertForSequenceClassification`` with a new head: ``(model, tokenizer)``.

    Args:
        base: A hub id or a checkpoint folder of model type ``bert``.
        hint: What to use instead, for the message.
        classes: Of the new head.

    Raises:
        BaseModelError: It cannot be loaded, or has what a DistilBERT cannot have.
    """
    from transformers import (
        AutoTokenizer,
        BertModel,
        DistilBertConfig,
        DistilBertForSequenceClassification,
        DistilBertTokenizerFast,
    )

    try:
        bert: Any = BertModel.from_pretrained(base, add_pooling_layer=False, dtype="float32")
        tokenizer: Any = AutoTokenizer.from_pretrained(base, use_fast=True)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{base}: cannot be loaded: {error}; {hint}") from error
    shape = bert.config
    if shape.position_embedding_type != "absolute" or shape.hidden_act not in {"gelu", "relu"}:
        raise BaseModelError(
            f"{base}: a DistilBERT has absolute positions and gelu or relu, not {shape.position_embedding_type} and "
            f"{shape.hidden_act}; {hint}"
        )
    model: Any = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=shape.vocab_size,
            max_position_embeddings=shape.max_position_embeddings,
            n_layers=shape.num_hidden_layers,
            n_heads=shape.num_attention_heads,
            dim=shape.hidden_size,
            hidden_dim=shape.intermediate_size,
            activation=shape.hidden_act,
            attention_dropout=shape.attention_probs_dropout_prob,
            pad_token_id=shape.pad_token_id,
            num_labels=classes,
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
        for layer in range(shape.num_hidden_layers):
            for theirs, ours in _NAMES.items():
                new[f"transformer.layer.{layer}.{ours}.{part}"] = old[f"encoder.layer.{layer}.{theirs}.{part}"]
    model.distilbert.load_state_dict(new)
    lower = bool(getattr(tokenizer, "do_lower_case", True))
    return model, DistilBertTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, do_lower_case=lower)
