"""The record of an architecture: everything that the export must know about one family of checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.gpu.graph import GpuGraph
from export.graph.graph import Graph
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from infolens.contract import AnswerKind


@dataclass(frozen=True, kw_only=True)
class Spacing:
    """For each word of a vocabulary the one with, and the one without, a space before it; itself where none is."""

    spaced: npt.NDArray[np.int32]
    """INT32 (vocabulary,)."""
    unspaced: npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model, as far as a graph is written from it."""

    config: Any
    """The ``transformers`` configuration."""
    generation: Any
    """The ``transformers.GenerationConfig``; None for a classifier."""
    weights: CheckpointWeights
    max_tokens: int
    """The longest input that is served."""
    window: int = 0
    """Tokens that the encoder reads at once: a longer input consists of such windows. 0 where it reads all at once."""
    spacing: Spacing | None = None
    """The words with and without a space before them; None where no word has such a form."""
    choice_layers: int | None = None
    """Layers of the head that chooses sentences, `export.graph.choice`, whose weights are among ``weights``; None where
    the graph is to have none."""


Writer = Callable[[Trained, Precision, Initializers], onnx.ModelProto]
"""Writes a graph, and stores its weights in the `Initializers`."""
StepsWriter = Callable[[Trained, Precision, Path], None]
"""Writes the files of an engine into a folder."""
WriterOn = Callable[[Trained, Graph], onnx.ModelProto]
"""Writes a graph with an empty `Graph`, whose operators the runtime that is meant has."""
GpuWriter = Callable[[Trained, GpuGraph], onnx.ModelProto]
"""Writes a graph with an empty `GpuGraph`."""


def on_cpu(write: WriterOn) -> Writer:
    """The writer of a graph for ONNX Runtime on CPUs: in its own operators, and ours."""

    def written(trained: Trained, precision: Precision, initializers: Initializers) -> onnx.ModelProto:
        return write(trained, Graph(initializers, prefix="", precision=precision))

    return written


@dataclass(frozen=True, kw_only=True)
class SpecialToken:
    """A special token that stands before or after every text."""

    roles: tuple[str, ...]
    """Attributes of a ``transformers`` tokenizer, such as ``("cls_token", "bos_token")``: the first that is set."""
    type_id: int = 0
    """Its token type."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Everything that is special to one family of checkpoints."""

    model_type: str
    """As ``config.json`` has it."""
    answers: AnswerKind
    """The tasks that it can serve: those whose answers are of this kind."""
    model_class: str
    """Name of the class in ``transformers`` that the checkpoint must be of."""
    example: str
    """A public checkpoint, for the messages."""
    write: Writer | None
    """Our own graph writer; None where the graph comes from optimum."""
    write_on: WriterOn | None = None
    """The same with a `Graph` of the caller, such as `export.graph.standard`; None where it has `Graph`'s own alone."""
    write_gpu: GpuWriter | None = None
    """The same with a graph for GPUs, where it is written otherwise than on others; None where `write_on` does it."""
    before: tuple[SpecialToken, ...]
    """The special tokens before a text..."""
    after: tuple[SpecialToken, ...]
    """...and after it."""
    positions: Callable[[Any], int | None]
    """Maximum number of tokens that a model of a configuration reads, special tokens included; None for no limit."""
    padding_side: str = "right"
    token_types: bool = False
    """Whether the graph has the input ``token_type_ids``. Without it every token is of type 0."""
    pad_type_id: int = 0
    """Token type of padding."""
    write_steps: StepsWriter | None = None
    """Writes a summarizer for an engine, which runs it step by step; None where there is no such form."""
    windows: bool = False
    """Whether its graph can read a longer input in windows."""
    unsupported: Callable[[Any], list[str]] = lambda _: []
    """The fields of a configuration that the graph cannot express, each as ``name=value (known: ...)``."""
    prepare: Callable[[Any, Any], None] = lambda _model, _tokenizer: None
    """Changes a loaded model, given with its tokenizer, in place into the one that is served."""


def known_values(config: Any, **known: tuple[Any, ...]) -> list[str]:
    """The fields of a configuration whose value is not a known one; an absent field has the first known value."""
    found = {name: getattr(config, name, values[0]) for name, values in known.items()}
    return [
        f"{name}={found[name]!r} (known: {', '.join(map(repr, values))})"
        for name, values in known.items()
        if found[name] not in values
    ]
