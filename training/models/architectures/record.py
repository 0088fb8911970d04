"""What is special to an architecture, as one record; the rest of training works on any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from infolens.contract import AnswerKind


class BuildsStarter(Protocol):
    """Makes a small model with random weights, as `Starter.build` does."""

    def __call__(
        self, tokenizer: Any, *, layers: int, width: int, heads: int, dropout: float, max_length: int, labels: int
    ) -> Any:
        """A model whose head tells ``labels`` labels and that reads ``max_length`` tokens."""


class TrainsTokenizer(Protocol):
    """Makes a tokenizer of the architecture's kind, as those of `tokenization` do."""

    def __call__(self, texts: Sequence[str], *, vocabulary: int, max_length: int) -> Any:
        """A tokenizer of `transformers` with at most ``vocabulary`` tokens."""


class Converts(Protocol):
    """Makes a checkpoint of another architecture into a model of this one, as those of `Architecture.made_from` do."""

    def __call__(self, base: str, *, labels: int, keep_layers: int) -> tuple[Any, Any]:
        """``(model, tokenizer)`` with a new head for ``labels`` labels and ``keep_layers`` layers; 0 keeps all."""


@dataclass(frozen=True, kw_only=True)
class Starter:
    """How a small model of the architecture is made from scratch."""

    build: BuildsStarter
    train_tokenizer: TrainsTokenizer


def reads_positions(config: Any) -> int:
    """The `Architecture.reads` of an architecture with an embedding for each position."""
    return int(config.max_position_embeddings)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All that is special to an architecture. Names of modules are paths from the model's root, as torch has them."""

    model_type: str
    """What ``config.json`` of its checkpoints says."""
    answers: AnswerKind
    """What the model class gives."""
    model_class: str
    """Its name in `transformers`."""
    example: str
    """A well-known base, for messages: a hub id."""
    head: tuple[str, ...] = ()
    """Modules that begin untrained on a base without a head, so that with adapters they are trained whole."""
    last_layer: str = ""
    """The linear layer whose output are the logits; its bias takes a decision offset. Empty where there is none."""
    layer_lists: Mapping[str, str]
    """Each list of layers -> the field of the configuration that counts it."""
    layer_classes: frozenset[str]
    """Names of the classes of these layers: full sharding gathers one of them at a time."""
    lora_targets: tuple[str, ...]
    """Ends of the names of the linear layers that get adapters."""
    dropout_fields: tuple[str, ...]
    """Fields of the configuration with the dropout of hidden states; the attention's stay as the base has them."""
    token_types: bool = False
    """Whether the model must be given token types; elsewhere those of a single text are all 0, its default."""
    never_trained: tuple[str, ...] = ()
    """Parameters that get no gradient from the loss: distributed training would wait for them."""
    predict_arguments: Mapping[str, Any] = field(default_factory=dict)
    """More arguments of the model when it is asked, not trained."""
    reads: Callable[[Any], int] | None = reads_positions
    """Says the most tokens that a model of a configuration reads, special ones included, or 0 for no limit; None
    where there is never one."""
    objection: Callable[[Any], str] | None = None
    """Says why a configuration of this type cannot be trained, or the empty text; None where all can."""
    class_with_more: Callable[[Any], type | None] | None = None
    """Says which class of ours loads a checkpoint that has more than ``model_class`` has, by its configuration, or None
    where it has no more; None where there is never one."""
    made_from: Mapping[str, Converts] = field(default_factory=dict)
    """Other types whose checkpoints can become one of this: type -> what makes it of a base."""
    starter: Starter | None = None
    """How the preset ``starter`` is made; None where there is no such."""

    def class_for(self, config: Any) -> Any:
        """The class that loads a checkpoint of a configuration."""
        import transformers

        more = self.class_with_more(config) if self.class_with_more else None
        return more or getattr(transformers, self.model_class)

    def limit(self, config: Any) -> int:
        """The most tokens that a model reads, special ones included; 0 for no limit."""
        return self.reads(config) if self.reads else 0
