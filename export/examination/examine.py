"""What shows of an export before anything is written: whether its checkpoint can be used, and what room it needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.registry import Found, checkpoint_found
from export.checkpoint.tokenization import serving_tokenizer
from export.graph.precision import Precision
from export.options import Exporter, ExportOptions
from export.progress import step
from export.repository.artefact import CHOICE, WITHOUT_CHOICE
from export.repository.publish import require_place
from infolens.targets import Target

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A checkpoint that can be exported."""

    name: str
    """The name that its model gets."""
    needed_bytes: int
    """What its export takes of the disk at most, about."""
    kept_bytes: int
    """What the model takes of it, about."""


def examine(options: ExportOptions) -> Examined:
    """Whether a checkpoint can be exported, as far as it shows before its graph is written; nothing is written.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        RepositoryError: The name of its model is another's, or the repository is broken.
        DeploymentError: A deployment file of the repository is wrong.
    """
    checkpoint, _ = read(options)
    tokenizer_bytes = len(serving_tokenizer(checkpoint).encode())
    expected = expected_bytes(checkpoint, options)
    return Examined(
        name=options.model_name(checkpoint.architecture.model_type),
        needed_bytes=sum(expected.values()) + 2 * tokenizer_bytes,
        kept_bytes=expected[options.precision] + 2 * tokenizer_bytes,
    )


def written_precisions(options: ExportOptions) -> tuple[Precision, ...]:
    """The precisions of the graphs that are written."""
    # The fp32 graph is always built and held to the strict limits, which shows that the graph is right.
    return tuple(dict.fromkeys((Precision.FP32, options.precision) if options.compared else (options.precision,)))


def expected_bytes(checkpoint: Checkpoint, options: ExportOptions) -> dict[Precision, int]:
    """What the weights of each graph take of the disk, about."""
    parameters = checkpoint.parameters
    return {one: int(parameters * one.number_format.weight_bytes) for one in written_precisions(options)}


def read(options: ExportOptions) -> tuple[Checkpoint, Found]:
    """The checkpoint, which fits its task, its target and the repository; and what is known of where it came from.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        RepositoryError: The name of its model is another's, or the repository is broken.
        DeploymentError: A deployment file of the repository is wrong.
    """
    with (
        checkpoint_found(options.checkpoint, tracking_uri=options.tracking_uri) as found,
        step(f"reading {options.checkpoint}"),
    ):
        checkpoint = load_checkpoint(
            options.task,
            found.source,
            max_tokens=options.max_tokens,
            window=options.window,
            naming=options.naming,
            own_graph=options.exporter is Exporter.OWN,
            # The steps of a summarizer are the same files for all targets.
            target=Target.CPU if options.form == "step" else options.target,
            choice=options.served_extraction == CHOICE,
        )
    if options.served_extraction != options.extraction:
        _LOG.info(WITHOUT_CHOICE)
    if found.source != options.checkpoint:
        # Name the registered model, because the folder to which it was downloaded is deleted by now.
        checkpoint = replace(checkpoint, source=options.checkpoint)
    require_place(options.repository, options.task, options.model_name(checkpoint.architecture.model_type))
    return checkpoint, found
