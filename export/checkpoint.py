"""Loading a checkpoint: a folder or a hub id becomes a model and a tokenizer, or an error that says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BartForConditionalGeneration,
    DistilBertForSequenceClassification,
    XLNetForSequenceClassification,
)

from infolens.contract import CONTRACTS, Task

from .errors import CheckpointError
from .graph import ACTIVATIONS
from .state import State

_DEFAULT_LIMIT: Final = 512
"""Tokens that a model without a limit of its own (XLNet) reads, unless the tokenizer or the user says otherwise."""
_NO_LIMIT: Final = 1_000_000
"""Tokenizers without a limit report an astronomic one; anything above this counts as none."""
_NEVER: Final = -1e6
"""A logit that makes a token's probability 0."""
DEFAULT_NGRAM: Final = 3
"""The n-gram size that a summary may not repeat, where the checkpoint's generation config does not say."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What a task's checkpoint must be."""

    model_type: str
    model_class: Any
    padding_side: str
    example: str
    """A public checkpoint of this architecture, for the error messages."""


ARCHITECTURES: Final = {
    Task.SUMMARY: Architecture(
        model_type="bart",
        model_class=BartForConditionalGeneration,
        padding_side="right",
        example="facebook/bart-large-cnn",
    ),
    Task.CATEGORY: Architecture(
        model_type="distilbert",
        model_class=DistilBertForSequenceClassification,
        padding_side="right",
        example="distilbert-base-uncased, fine-tuned",
    ),
    Task.VERACITY: Architecture(
        model_type="xlnet",
        model_class=XLNetForSequenceClassification,
        padding_side="left",
        example="xlnet-base-cased, fine-tuned",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A loaded checkpoint that fits its task."""

    task: Task
    source: str
    """Name of the folder, or the hub id."""
    model: Any
    """The ``transformers`` model, in fp32 and evaluation mode."""
    tokenizer: Any
    """The ``transformers`` fast tokenizer."""
    max_tokens: int
    """The longest input that is served."""

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    @property
    def generation(self) -> Any:
        """The model's generation configuration, with the project's n-gram size and early stopping.

        With early stopping a search ends as soon as it has as many finished summaries as beams: the fewest steps, and
        with one beam the same answer as a search without beams.
        """
        generation = self.model.generation_config
        generation.early_stopping = True
        if not generation.no_repeat_ngram_size:
            generation.no_repeat_ngram_size = DEFAULT_NGRAM
        return generation

    @property
    def state(self) -> State:
        """The weights."""
        return State(self.model.state_dict())


def load_checkpoint(task: Task, source: str, *, max_tokens: int | None = None) -> Checkpoint:
    """Load and examine a checkpoint.

    Args:
        task: What the checkpoint is for.
        source: A folder written by ``save_pretrained``, or a hub id.
        max_tokens: The longest input to serve; by default the smallest limit that the checkpoint knows.

    Raises:
        CheckpointError: There is no such checkpoint, it is of another architecture, its tokenizer is missing, its
            labels are not the contract's, or it cannot read ``max_tokens``.
    """
    wanted = ARCHITECTURES[task]
    config = _load_config(source, wanted)
    _check_config(task, config, wanted)
    tokenizer = _load_tokenizer(source)  # Before the weights: it takes no time, and it may be missing.
    model = _load_model(source, config, wanted)
    limit = _limit(config, tokenizer)
    if max_tokens is not None:
        bound = getattr(config, "max_position_embeddings", None) if task is not Task.VERACITY else None
        if max_tokens < 1 or (bound and max_tokens > bound):
            raise CheckpointError(
                f"--max-tokens must be between 1 and the model's limit ({bound or 'none'}), not {max_tokens}"
            )
        limit = max_tokens
    if len(tokenizer) > config.vocab_size:
        raise CheckpointError(
            f"the tokenizer of {source!r} knows {len(tokenizer)} tokens, but the model embeds only "
            f"{config.vocab_size}: they are not from the same training run"
        )
    if task is Task.SUMMARY:
        with torch.no_grad():  # Rows that only fill the embedding up have no text, and must not be written.
            model.final_logits_bias[:, len(tokenizer) :] = _NEVER
    name = Path(source).resolve().name if Path(source).is_dir() else source
    return Checkpoint(task=task, source=name, model=model, tokenizer=tokenizer, max_tokens=limit)


def _load_config(source: str, wanted: Architecture) -> Any:
    folder = Path(source)
    looks_local = source.startswith((".", "/", "~")) or source.count("/") > 1
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"{source!r} is no checkpoint: it has no config.json; give the folder that save_pretrained wrote"
            )
    elif looks_local or folder.exists():
        raise CheckpointError(f"there is no checkpoint folder {source!r}; check the path, or give a hub id")
    try:
        return AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        if folder.is_dir():
            raise CheckpointError(
                f"{folder / 'config.json'} cannot be read ({_first_line(error)}); copy or save the checkpoint again"
            ) from error
        raise CheckpointError(
            f"{source!r} is neither a folder nor a checkpoint that the hub gives out (or the hub cannot be reached): "
            f"{_first_line(error)}. Give a folder written by save_pretrained, or an id such as {wanted.example}"
        ) from error


def _load_model(source: str, config: Any, wanted: Architecture) -> Any:
    try:
        model, info = wanted.model_class.from_pretrained(source, config=config, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
        raise CheckpointError(
            f"the weights of {source!r} do not load ({_first_line(error)}): they are missing, cut off or damaged, as "
            "after a copy or a training run that was interrupted; copy or save the checkpoint again"
        ) from error
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"the weights of {source!r} lack {len(missing)} tensors of {wanted.model_class.__name__}, {missing[0]} for "
            "one, which would be random; save the whole fine-tuned model with save_pretrained"
        )
    return model.float().eval()


def _check_config(task: Task, config: Any, wanted: Architecture) -> None:
    name = wanted.model_class.__name__
    if config.model_type != wanted.model_type:
        raise CheckpointError(
            f"the {task.value} task is served by {wanted.model_type!r} ({name}), but the checkpoint is "
            f"{config.model_type!r}; fine-tune for example {wanted.example}"
        )
    found = getattr(config, "architectures", None) or [name]
    if name not in found:
        raise CheckpointError(
            f"the {task.value} task needs {name}, but the checkpoint is {', '.join(found)}: it has no trained head "
            "for this task; fine-tune it first with python -m training"
        )
    attribute = {"bart": "activation_function", "distilbert": "activation", "xlnet": "ff_activation"}
    activation = getattr(config, attribute[wanted.model_type])
    unusual = [] if activation in ACTIVATIONS else [f"activation {activation!r} (known: {', '.join(ACTIVATIONS)})"]
    if wanted.model_type == "xlnet":
        rules = {"attn_type": "bi", "bi_data": False, "summary_type": "last", "untie_r": True}
        unusual += [
            f"{key}={getattr(config, key)!r} (known: {v!r})" for key, v in rules.items() if getattr(config, key) != v
        ]
        if config.summary_activation not in (None, "tanh"):
            unusual.append(f"summary_activation={config.summary_activation!r} (known: 'tanh')")
    if unusual:
        raise CheckpointError(f"the {wanted.model_type} graph cannot express {'; '.join(unusual)}")
    if labels := CONTRACTS[task].labels:
        found_labels = tuple(config.id2label[i] for i in sorted(config.id2label))
        if found_labels != labels:
            raise CheckpointError(
                f"the checkpoint's labels must be the contract's, in its order: {list(labels)}; they are "
                f"{list(found_labels)}. Set id2label when fine-tuning (python -m training does)"
            )


def _load_tokenizer(source: str) -> Any:
    folder = Path(source)
    files = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model")
    if folder.is_dir() and not any((folder / name).is_file() for name in files):
        raise CheckpointError(
            f"{source!r} has no tokenizer (none of {', '.join(files)}); save it there with tokenizer.save_pretrained"
        )
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, use_fast=True)
    except Exception as error:  # The tokenizers library raises nothing more special.
        raise CheckpointError(
            f"the tokenizer of {source!r} does not load ({_first_line(error)}); save it again with save_pretrained"
        ) from error
    if not tokenizer.is_fast:
        raise CheckpointError(f"the tokenizer of {source!r} has no fast form, and only fast tokenizers are served")
    return tokenizer


def _limit(config: Any, tokenizer: Any) -> int:
    limits = [getattr(config, "max_position_embeddings", None), tokenizer.model_max_length]
    return min((int(limit) for limit in limits if limit and 0 < limit < _NO_LIMIT), default=_DEFAULT_LIMIT)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
