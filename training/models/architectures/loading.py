"""Load a base from a hub or a folder with the head that a run needs, or a folder that a run has written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from infolens.contract import CONTRACTS, Task
from infolens.labels import SINGLE_LABEL, is_placeholder
from inspection.configuration import require_buildable
from training.errors import BaseModelError, SettingError
from training.models.tokenization import load_tokenizer
from training.recipes.recipe import STARTER

from .inspected import load_whole, naming_base, read_config, read_tokenizer
from .layers import kept_layers
from .lookup import answering, architecture_of, architectures, usual_architecture
from .record import Architecture

logger = logging.getLogger(__name__)


def load_base(
    task: Task, base: str, *, dropout: float, labels: Sequence[str] = (), keep_layers: int = 0, convert_to: str = ""
) -> tuple[Any, Any]:
    """Load a pre-trained base: ``(model, tokenizer)``, in fp32.

    A classifier gets a new head, unless its own was trained to tell the same labels; that is kept, in the order of
    ``labels``. Whatever its problem type was, the result's is single-label, for that is how it is trained.

    Args:
        task: What the model shall answer.
        base: A hub id or a checkpoint folder.
        dropout: For the hidden states of the head and the layers.
        labels: What a classifier tells, by class id; none where the task's answers are texts.
        keep_layers: How many layers are kept, evenly spread; 0 keeps all.
        convert_to: The architecture that the base becomes, where its record says how; empty keeps its own.

    Raises:
        BaseModelError: It is not there, of no architecture that answers the task, was trained for other labels, or
            something of it is missing, broken or not in step.
        SettingError: It has fewer layers than ``keep_layers``, or cannot become what ``convert_to`` asks for.
    """
    hint = f"for {task.value} give {_bases(task)}, or the preset {STARTER!r}"
    config = read_config(base, hint)
    record = architectures().get(config.model_type)
    if record is None or record.answers is not CONTRACTS[task].answers:
        raise BaseModelError(f"{base}: its architecture is {config.model_type}; {hint}")
    objection = record.objection(config) if record.objection else ""
    if objection:
        raise BaseModelError(f"{base}: {objection}; {hint}")
    if labels:
        _refuse_other_labels(base, config, labels, record)
    with naming_base(base):
        require_buildable(config, record.model_class)
        tokenizer = read_tokenizer(base, config)
        if convert_to and convert_to != record.model_type:
            record, model, tokenizer = _converted(base, record, convert_to, len(labels), keep_layers)
        else:
            model = _load_with_head(record, base, len(labels))
            _order_head(model, config, labels)
            _keep_layers(model, record, keep_layers, base)
    for name in record.dropout_fields:
        setattr(model.config, name, dropout)
    if labels:
        name_labels(model, labels)
    return model, tokenizer


def _bases(task: Task) -> str:
    """What a task takes, in words: its usual base first."""
    usual = usual_architecture(task)
    names = [usual.model_type, *(r.model_type for r in answering(usual.answers) if r.model_type != usual.model_type)]
    *most, last = names
    kinds = f"{', '.join(most)} or {last}" if most else last
    return f"a checkpoint of type {kinds}, such as {usual.example}"


def _refuse_other_labels(base: str, config: Any, labels: Sequence[str], record: Architecture) -> None:
    """A head that was trained for labels of its own is another task's."""
    named = _named(config)
    if named and set(named) != set(labels):
        raise BaseModelError(
            f"{base}: was trained to tell {', '.join(named)}; this run's labels are {', '.join(labels)}. Give a "
            f"checkpoint without a head, such as {record.example}, or data with the base's labels"
        )


def _named(config: Any) -> list[str]:
    """The labels of a checkpoint by class id; empty where it has but transformers' placeholders LABEL_0..."""
    named = [str(config.id2label[index]) for index in sorted(config.id2label or {})]
    return [] if all(map(is_placeholder, named)) else named


def _converted(
    base: str, record: Architecture, convert_to: str, labels: int, keep_layers: int
) -> tuple[Architecture, Any, Any]:
    ways = {other.model_type for other in architectures().values() if record.model_type in other.made_from}
    if convert_to not in ways:
        raise SettingError(
            f"convert_to: a {record.model_type} such as {base} can become {' or '.join(sorted(ways)) or 'nothing else'}"
            f", not {convert_to!r}"
        )
    target = architecture_of(convert_to)
    return target, *target.made_from[record.model_type](base, labels=labels, keep_layers=keep_layers)


def _load_with_head(record: Architecture, base: str, labels: int) -> Any:
    """The model of a base, with a head for so many labels; 0 where it has none."""
    import transformers

    return load_whole(getattr(transformers, record.model_class), base, labels=labels, untrained=record.head)


def _load(record: Architecture, config: Any, folder: Path) -> Any:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return record.class_for(config).from_pretrained(folder, dtype="float32")


def last_layer_of(model: Any) -> nn.Linear:
    """The layer whose output are a classifier's logits.

    Raises:
        BaseModelError: The model's architecture has no record, or no such layer.
    """
    record = architecture_of(model.config.model_type)
    if not record.last_layer:
        raise BaseModelError(f"a {record.model_type} has no layer that gives the logits of labels")
    layer: nn.Linear = model.get_submodule(record.last_layer)
    return layer


def _order_head(model: Any, config: Any, labels: Sequence[str]) -> None:
    """Bring the rows of a head that tells the same labels into our order."""
    named = _named(config)
    if not labels or not named or named == list(labels):
        return
    rows = [named.index(label) for label in labels]
    last = last_layer_of(model)
    with torch.no_grad():
        last.weight.copy_(last.weight[rows].clone())
        last.bias.copy_(last.bias[rows].clone())


def _keep_layers(model: Any, record: Architecture, count: int, base: str) -> None:
    for place, field in record.layer_lists.items():
        owner, _, name = place.rpartition(".")
        layers = model.get_submodule(place)
        chosen = kept_layers(len(layers), count, base)
        setattr(model.get_submodule(owner), name, nn.ModuleList([layers[i] for i in chosen]))
        setattr(model.config, field, len(chosen))


def load_prepared(
    task: Task, folder: Path, *, tokenizer: Path | None = None, gradient_checkpointing: bool = False
) -> tuple[Any, Any]:
    """Load a folder of ours: ``(model, tokenizer)``, in fp32.

    Args:
        task: What the model is for.
        folder: Of the weights.
        tokenizer: Of the tokenizer, where that is another one.
        gradient_checkpointing: Whether the model must be able to compute activations twice.

    Raises:
        BaseModelError: The folder's architecture has no record, or does not answer the task.
        SettingError: ``gradient_checkpointing`` is asked for and the architecture has none.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    record = architecture_of(config.model_type)
    if record.answers is not CONTRACTS[task].answers:
        raise BaseModelError(
            f"{folder}: a {record.model_type} gives no answers for {task.value}: it needs {_bases(task)}"
        )
    model = _load(record, config, folder)
    for name in record.never_trained:
        model.get_parameter(name).requires_grad_(False)
    if gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise SettingError(
            f"gradient_checkpointing: transformers has none for {record.model_type}; use a smaller "
            "per_device_train_batch_size with gradient_accumulation_steps"
        )
    return model, load_tokenizer(tokenizer or folder)


def name_labels(model: Any, labels: Sequence[str]) -> None:
    """Write the labels into a classifier's configuration, where whoever loads it finds them."""
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: index for index, label in enumerate(labels)}
    model.config.problem_type = SINGLE_LABEL


def labels_of(model: Any) -> tuple[str, ...]:
    """The labels that a classifier was trained to tell, by class id."""
    return tuple(str(model.config.id2label[index]) for index in range(model.config.num_labels))


def require_length(model: Any, base: str, **tokens: int) -> None:
    """Check that a model reads as many tokens as settings ask for.

    Args:
        model: Of a known architecture.
        base: Where it comes from, for the message.
        tokens: Setting -> its value.

    Raises:
        SettingError: One is more than the model reads.
    """
    limit = architecture_of(model.config.model_type).limit(model.config)
    for name, value in tokens.items():
        if limit and value > limit:
            raise SettingError(f"{name} is at most {limit} for {base}, not {value}: say --set {name}={limit}")
