"""One export from end to end: checkpoint -> graph -> parity check -> repository."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

import onnx

from infolens.contract import SUMMARY_SETTINGS, Task

from .artefact import Artefact
from .bart_graph import build_bart
from .checkpoint import Checkpoint, load_checkpoint
from .distilbert_graph import build_distilbert
from .errors import CheckpointError, ParityError
from .graph import Precision
from .parity import Parity, Tolerances, check_parity
from .repository import Export, publish
from .tokenization import padding_of, serving_tokenizer
from .xlnet_graph import build_xlnet

_LOG = logging.getLogger(__name__)

_PACKAGES: Final = ("onnx", "onnxruntime", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export, and how."""

    task: Task
    checkpoint: str
    """A folder written by ``save_pretrained``, or a hub id."""
    repository: Path = Path("model_repository")
    precision: Precision = Precision.INT8
    max_tokens: int | None = None
    """Longest input to serve; by default the checkpoint's own limit."""
    replace: bool = False
    """Overwrite the newest version instead of adding one."""
    tolerances: Tolerances = field(default_factory=Tolerances)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished export."""

    version: int
    artefact: Artefact
    parity: Parity
    model_bytes: int
    tokenizer_bytes: int


def export(options: ExportOptions) -> Outcome:
    """Export a checkpoint into a model repository.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ParityError: The graph does not answer as the checkpoint does; the message holds the table.
        RepositoryError: The repository cannot be written.
    """
    _LOG.info("loading %s", options.checkpoint)
    checkpoint = load_checkpoint(options.task, options.checkpoint, max_tokens=options.max_tokens)
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    # The fp32 graph is always built and held to the strict limits: it shows that the graph is right.
    precisions = dict.fromkeys((Precision.FP32, options.precision))
    graphs = {precision: build(checkpoint, precision).SerializeToString() for precision in precisions}
    _LOG.info("comparing the graph with transformers")
    parity = check_parity(checkpoint, dict(graphs), tokenizer, padding, tolerances=options.tolerances)
    if not parity.passed:
        raise ParityError(
            f"the exported {options.task.value} model does not answer as its checkpoint does; the repository is as "
            f"it was before\n{parity.table()}"
        )
    model = graphs[options.precision]
    artefact = Artefact(
        task=options.task.value,
        architecture=type(checkpoint.model).__name__,
        precision=options.precision.value,
        checkpoint=checkpoint.source,
        max_tokens=checkpoint.max_tokens,
        vocabulary=checkpoint.config.vocab_size,
        parameters=checkpoint.model.num_parameters(),
        padding_side=padding.side,
        pad_id=padding.pad_id,
        pad_type_id=padding.pad_type_id,
        parity=parity.figures(),
        packages={package: version(package) for package in _PACKAGES},
    )
    made = Export(task=options.task, artefact=artefact, model=model, tokenizer=tokenizer)
    number = publish(made, options.repository, replace=options.replace)
    return Outcome(
        version=number,
        artefact=artefact,
        parity=parity,
        model_bytes=len(model),
        tokenizer_bytes=len(tokenizer.encode()),
    )


def build(checkpoint: Checkpoint, precision: Precision) -> onnx.ModelProto:
    """The ONNX graph of a checkpoint.

    Raises:
        CheckpointError: BART has too few positions for the longest summary.
    """
    if checkpoint.task is Task.CATEGORY:
        return build_distilbert(checkpoint.config, checkpoint.state, precision)
    if checkpoint.task is Task.VERACITY:
        return build_xlnet(checkpoint.config, checkpoint.state, precision, checkpoint.max_tokens)
    longest = max(int(s.maximum) for s in SUMMARY_SETTINGS if s.name == "max_length")
    if checkpoint.config.max_position_embeddings < longest:
        raise CheckpointError(
            f"a request may ask for summaries of {longest} tokens, but the checkpoint has only "
            f"{checkpoint.config.max_position_embeddings} positions; train it with max_position_embeddings >= {longest}"
        )
    return build_bart(checkpoint.config, checkpoint.generation, checkpoint.state, precision)
