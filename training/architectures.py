"""The classifiers' architectures: load a base from a hub or a folder, or build the small ``starter`` from scratch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from infolens.contract import CONTRACTS, Task

from .bert import load_bert
from .errors import BaseModelError, SettingError
from .tokenization import train_unigram, train_wordpiece

logger = logging.getLogger(__name__)

STARTER: Final = "starter"
"""The base that means: the same architecture, small, from scratch."""

MODEL_TYPES: Final = {Task.CATEGORY: "distilbert", Task.VERACITY: "xlnet"}
"""What ``config.json`` of a base must name as its ``model_type``."""

DOCUMENTED_BASES: Final = {Task.CATEGORY: "distilbert-base-uncased", Task.VERACITY: "xlnet-base-cased"}


def load_base(task: Task, base: str, *, dropout: float, keep_layers: int = 0) -> tuple[Any, Any]:
    """Load a pre-trained base with a new classification head: ``(model, tokenizer)``.

    A BERT is a base for the category too: it becomes a DistilBERT that computes the same (see `bert`).

    Args:
        task: A classifier's task.
        base: A hub id or a checkpoint folder.
        dropout: For the hidden states of the head and the layers.
        keep_layers: How many layers are kept, evenly spread; 0 keeps all.

    Raises:
        BaseModelError: It is not there, not of the task's architecture, or was trained for another task.
        SettingError: It has fewer layers than ``keep_layers``.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    wanted = MODEL_TYPES[task]
    hint = f"for {task.value} give a {wanted} checkpoint, such as {DOCUMENTED_BASES[task]}, or the preset {STARTER!r}"
    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise BaseModelError(f"{base}: neither a checkpoint folder nor a model that the hub gives; {hint}") from error
    if config.model_type == "bert" and wanted == "distilbert":
        model, tokenizer = load_bert(base, hint, classes=len(CONTRACTS[task].labels))
    elif config.model_type != wanted:
        raise BaseModelError(f"{base}: its architecture is {config.model_type}; {hint}")
    else:
        _refuse_other_labels(base, config, task)
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                base, num_labels=len(CONTRACTS[task].labels), ignore_mismatched_sizes=True, dtype="float32"
            )
            tokenizer = AutoTokenizer.from_pretrained(base, use_fast=True)
        except (OSError, ValueError) as error:
            raise BaseModelError(f"{base}: cannot be loaded: {error}; {hint}") from error
    if keep_layers:
        _keep_layers(model, keep_layers, base)
    _set_dropout(model, dropout)
    _name_labels(model.config, CONTRACTS[task].labels)
    return model, tokenizer


def _refuse_other_labels(base: str, config: Any, task: Task) -> None:
    """A head that was trained for labels of its own is another task's; LABEL_0... is transformers' placeholder."""
    named = list((config.id2label or {}).values())
    labels = CONTRACTS[task].labels
    if named and tuple(named) != labels and not all(str(name).startswith("LABEL_") for name in named):
        raise BaseModelError(
            f"{base}: was trained to tell {', '.join(map(str, named))}; {task.value} has {', '.join(labels)}. Give a "
            f"checkpoint without a head, such as {DOCUMENTED_BASES[task]}, or the right task"
        )


def _keep_layers(model: Any, count: int, base: str) -> None:
    from torch import nn

    xlnet = model.config.model_type == "xlnet"
    stack, field = (model.transformer, "n_layer") if xlnet else (model.distilbert.transformer, "n_layers")
    layers = stack.layer
    if count > len(layers):
        raise SettingError(f"keep_layers is at most {len(layers)} for {base}, not {count}")
    chosen = [round(i * (len(layers) - 1) / max(1, count - 1)) for i in range(count)]
    stack.layer = nn.ModuleList([layers[i] for i in chosen])
    setattr(model.config, field, count)


def _set_dropout(model: Any, dropout: float) -> None:
    """Set the rates of the hidden states, for whoever loads the model; the attention's stay as the base has them."""
    for name in ("dropout", "seq_classif_dropout", "summary_last_dropout"):
        if hasattr(model.config, name):
            setattr(model.config, name, dropout)


def load_prepared(
    task: Task, folder: Path, *, tokenizer: Path | None = None, gradient_checkpointing: bool = False
) -> tuple[Any, Any]:
    """Load a folder of ours, whose architecture and labels are known to fit: ``(model, tokenizer)``, in fp32.

    Args:
        task: What the model is for.
        folder: Of the weights.
        tokenizer: Of the tokenizer, where that is another one.
        gradient_checkpointing: Whether the model must be able to compute activations twice.

    Raises:
        SettingError: ``gradient_checkpointing`` is asked for and the architecture has none.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, BartForConditionalGeneration

    kind = BartForConditionalGeneration if task is Task.SUMMARY else AutoModelForSequenceClassification
    model = kind.from_pretrained(folder, dtype="float32")
    if task is Task.VERACITY:
        model.transformer.mask_emb.requires_grad_(False)  # used in pre-training only: it never gets a gradient
    if gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise SettingError(
            f"gradient_checkpointing: transformers has none for {model.config.model_type}; use a smaller "
            "per_device_train_batch_size with gradient_accumulation_steps"
        )
    return model, AutoTokenizer.from_pretrained(tokenizer or folder)


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
