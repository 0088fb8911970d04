"""XLNet (Yang et al., 2019), as a starter too: relative positions, so no limit of length, and types of tokens.

`bert_to_xlnet` makes one of a BERT.
"""

from __future__ import annotations

from typing import Any, Final

from infolens.contract import AnswerKind
from training.models.tokenization import train_unigram

from .bert_to_xlnet import from_bert
from .record import Architecture, Starter


def build(tokenizer: Any, *, layers: int, width: int, heads: int, dropout: float, max_length: int, labels: int) -> Any:  # noqa: ARG001 - it reads any length
    """A small XLNet with random weights."""
    from transformers import XLNetConfig, XLNetForSequenceClassification

    return XLNetForSequenceClassification(
        XLNetConfig(
            vocab_size=len(tokenizer),
            n_layer=layers,
            n_head=heads,
            d_model=width,
            d_inner=4 * width,
            dropout=dropout,
            summary_last_dropout=dropout,
            mem_len=None,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            num_labels=labels,
        )
    )


ARCHITECTURE: Final = Architecture(
    model_type="xlnet",
    answers=AnswerKind.LABELS,
    model_class="XLNetForSequenceClassification",
    example="xlnet-base-cased",
    head=("sequence_summary", "logits_proj"),
    last_layer="logits_proj",
    layer_lists={"transformer.layer": "n_layer"},
    layer_classes=frozenset({"XLNetLayer"}),
    # The attention holds bare tensors, so the feed-forward layers have the adapters.
    lora_targets=("layer_1", "layer_2"),
    dropout_fields=("dropout", "summary_last_dropout"),
    token_types=True,
    # Stands for the masked tokens of pre-training only.
    never_trained=("transformer.mask_emb",),
    predict_arguments={"use_mems": False},
    reads=None,
    made_from={"bert": from_bert},
    starter=Starter(build=build, train_tokenizer=train_unigram),
)
