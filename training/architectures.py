"""The classifiers' architectures: load a base from a hub or a folder, or build the small ``starter`` from scratch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from infolens.contract import CONTRACTS, Task

from .errors import BaseModelError
from .tokenization import train_unigram, train_wordpiece

logger = logging.getLogger(__name__)

STARTER: Final = "starter"
"""The base that means: the same architecture, small, from scratch."""

MODEL_TYPES: Final = {Task.CATEGORY: "distilbert", Task.VERACITY: "xlnet"}
"""What ``config.json`` of a base must name as its ``model_type``."""

DOCUMENTED_BASES: Final = {Task.CATEGORY: "distilbert-base-uncased", Task.VERACITY: "xlnet-base-cased"}


def load_base(task: Task, base: str, *, dropout: float) -> tuple[Any, Any]:
    """Load a pre-trained base with a new classification head: ``(model, tokenizer)``.

    Args:
        task: A classifier's task.
        base: A hub id or a checkpoint folder.
        dropout: For the hidden states of the head and the layers.

    Raises:
        BaseModelError: It is not there, or not of the task's architecture.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    wanted = MODEL_TYPES[task]
    hint = f"for {task.value} give a {wanted} checkpoint, such as {DOCUMENTED_BASES[task]}, or the preset {STARTER!r}"
    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{base}: neither a checkpoint folder nor a model that the hub gives; {hint}") from error
    if config.model_type != wanted:
        raise BaseModelError(f"{base}: its architecture is {config.model_type}; {hint}")
    labels = CONTRACTS[task].labels
    config.dropout = dropout
    _name_labels(config, labels)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            base, config=config, ignore_mismatched_sizes=True, dtype="float32"
        )
        tokenizer = AutoTokenizer.from_pretrained(base, use_fast=True)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{base}: cannot be loaded: {error}; {hint}") from error
    return model, tokenizer


def train_tokenizer(task: Task, texts: Sequence[str], *, vocabulary: int, max_length: int) -> Any:
    """A new tokenizer of the task's kind (see `tokenization`)."""
    train = train_wordpiece if task is Task.CATEGORY else train_unigram
    return train(texts, vocabulary=vocabulary, max_length=max_length)


def build_starter(
    task: Task, tokenizer: Any, *, layers: int, width: int, heads: int, dropout: float, max_length: int
) -> Any:
    """A small model of the task's architecture with random weights."""
    from transformers import (
        DistilBertConfig,
        DistilBertForSequenceClassification,
        XLNetConfig,
        XLNetForSequenceClassification,
    )

    if task is Task.CATEGORY:
        config: Any = DistilBertConfig(
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
        )
        _name_labels(config, CONTRACTS[task].labels)
        return DistilBertForSequenceClassification(config)
    config = XLNetConfig(
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
    )
    _name_labels(config, CONTRACTS[task].labels)
    return XLNetForSequenceClassification(config)


def _name_labels(config: Any, labels: Sequence[str]) -> None:
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
