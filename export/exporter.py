"""One export from end to end: checkpoint -> graph -> parity check -> repository.

Large checkpoints decide the order: every graph is written to the disk weight by weight, the checkpoint gives its
answers and is let go, and only then is one graph after the other loaded and compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import onnx

from infolens.contract import SUMMARY_SETTINGS, Task
from operators.library import ensure_operators

from .artefact import Artefact
from .bart_graph import build_bart
from .checkpoint import Checkpoint, load_checkpoint
from .checks import Parity, Tolerances
from .distilbert_graph import build_distilbert
from .errors import CheckpointError, ParityError
from .graph import Precision
from .model_file import MODEL_FILE, SPLIT_BYTES, model_files, write_model
from .parity import Reference, check_graph, reference_of
from .progress import size, step
from .registry import checkpoint_folder
from .repository import Export, publish
from .tokenization import Padding, padding_of, serving_tokenizer
from .weights import Weights
from .workspace import require_space, workspace
from .xlnet_graph import build_xlnet

_PACKAGES: Final = ("onnx", "onnxruntime", "tokenizers", "torch", "transformers")
_WEIGHT_BYTES: Final = {Precision.FP32: 4.1, Precision.FP16: 2.2, Precision.INT8: 1.25}
"""About what a weight takes on the disk; some of them, such as positions, stay in fp32 at every precision."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export, and how."""

    task: Task
    checkpoint: str
    """A folder written by ``save_pretrained``, a hub id, or a registered model: ``models:/category@champion``."""
    tracking_uri: str = ""
    """Of the MLflow server or database of a registered model."""
    repository: Path = Path("model_repository")
    precision: Precision = Precision.INT8
    max_tokens: int | None = None
    """Longest input to serve; by default the checkpoint's own limit."""
    replace: bool = False
    """Overwrite the newest version instead of adding one."""
    tolerances: Tolerances = field(default_factory=Tolerances)
    split_bytes: int = SPLIT_BYTES
    """Weights of this size and more stand in a file beside the graph."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished export."""

    version: int
    artefact: Artefact
    parity: Parity
    file_bytes: dict[str, int]
    """Size of each published file, by name."""
    load_s: float
    """Time in which a session loaded the model, during the parity check."""


def export(options: ExportOptions) -> Outcome:
    """Export a checkpoint into a model repository.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ParityError: The graph does not answer as the checkpoint does; the message holds the table.
        RepositoryError: The repository cannot be written, or the disk is full.
    """
    with workspace(options.repository) as folder:
        # The fp32 graph is always built and held to the strict limits: it shows that the graph is right.
        models = {
            precision: folder / precision / MODEL_FILE
            for precision in dict.fromkeys((Precision.FP32, options.precision))
        }
        artefact, tokenizer, reference = _with_checkpoint(options, models)
        parity, load_s = Parity(), 0.0
        # Only int8 graphs are compared on native operators: nothing is built for the others.
        native = ensure_operators().path if options.precision is Precision.INT8 else None
        for precision, path in models.items():
            with step(f"comparing the {precision} graph with transformers"):
                load_s = check_graph(parity, reference, precision, path, tolerances=options.tolerances)
            if precision is Precision.INT8 and native:
                with step(f"comparing the {precision} graph on native operators with transformers"):
                    load_s = check_graph(
                        parity, reference, precision, path, tolerances=options.tolerances, operators=native
                    )
            if precision is not options.precision:
                _delete(model_files(path))
        if not parity.passed:
            raise ParityError(
                f"the exported {options.task.value} model does not answer as its checkpoint does; the repository is "
                f"as it was before\n{parity.table()}\n{parity.hints()}".rstrip()
            )
        artefact = artefact.with_parity(parity.figures())
        model = models[options.precision]
        file_bytes = {file.name: file.stat().st_size for file in model_files(model)}
        made = Export(task=options.task, artefact=artefact, model=model, tokenizer=tokenizer)
        number = publish(made, options.repository, replace=options.replace)
    return Outcome(
        version=number,
        artefact=artefact,
        parity=parity,
        file_bytes={**file_bytes, "tokenizer.json": len(tokenizer.encode())},
        load_s=load_s,
    )


def _with_checkpoint(options: ExportOptions, models: dict[Precision, Path]) -> tuple[Artefact, str, Reference]:
    """Everything that needs the checkpoint, which is let go at the end.

    Writes the graphs, and returns what is known of the checkpoint, its served tokenizer and its answers.
    """
    with (
        checkpoint_folder(options.checkpoint, tracking_uri=options.tracking_uri) as folder,
        step(f"reading {options.checkpoint}"),
    ):
        checkpoint = load_checkpoint(options.task, folder, max_tokens=options.max_tokens)
    if folder != options.checkpoint:
        checkpoint = replace(checkpoint, source=options.checkpoint)  # the folder that it was fetched to is gone
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    parameters = checkpoint.model.num_parameters()
    expected = {precision: int(parameters * _WEIGHT_BYTES[precision]) for precision in models}
    require_space(options.repository, sum(expected.values()) + 2 * len(tokenizer.encode()))
    for precision, path in models.items():
        path.parent.mkdir()
        facts = f"{parameters / 1e6:.1f} M weights, up to {size(expected[precision])}"
        with step(f"writing the {precision} graph: {facts}"):
            write_model(path, partial(build, checkpoint, precision), split_bytes=options.split_bytes)
    with step("asking transformers for its answers"):
        reference = reference_of(checkpoint, tokenizer, padding)
    return _artefact(checkpoint, options.precision, padding), tokenizer, reference


def _artefact(checkpoint: Checkpoint, precision: Precision, padding: Padding) -> Artefact:
    return Artefact(
        task=checkpoint.task.value,
        architecture=type(checkpoint.model).__name__,
        precision=precision.value,
        checkpoint=checkpoint.source,
        max_tokens=checkpoint.max_tokens,
        vocabulary=checkpoint.config.vocab_size,
        parameters=checkpoint.model.num_parameters(),
        padding_side=padding.side,
        pad_id=padding.pad_id,
        pad_type_id=padding.pad_type_id,
        parity={},
        packages={package: version(package) for package in _PACKAGES},
    )


def _delete(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink()


def build(checkpoint: Checkpoint, precision: Precision, weights: Weights) -> onnx.ModelProto:
    """The ONNX graph of a checkpoint; its weights go to ``weights``.

    Raises:
        CheckpointError: BART has too few positions for the longest summary.
    """
    if checkpoint.task is Task.CATEGORY:
        return build_distilbert(checkpoint.config, checkpoint.state, precision, weights)
    if checkpoint.task is Task.VERACITY:
        return build_xlnet(checkpoint.config, checkpoint.state, precision, weights, max_tokens=checkpoint.max_tokens)
    longest = max(int(s.maximum) for s in SUMMARY_SETTINGS if s.name == "max_length")
    if checkpoint.config.max_position_embeddings < longest:
        raise CheckpointError(
            f"a request may ask for summaries of {longest} tokens, but the checkpoint has only "
            f"{checkpoint.config.max_position_embeddings} positions; train it with max_position_embeddings >= {longest}"
        )
    return build_bart(checkpoint.config, checkpoint.generation, checkpoint.state, precision, weights)
