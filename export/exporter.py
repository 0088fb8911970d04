"""One export from end to end: checkpoint -> graphs -> parity check -> model repository.

The order keeps the memory of large checkpoints low: every graph is written to the disk weight by weight, the checkpoint
gives its answers and is released, and only then are the graphs loaded and compared, one after the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import onnx

from infolens.contract import AnswerKind
from infolens.targets import Target
from operators.library import ensure_operators

from .architectures.writing import write_graph
from .checkpoint.checkpoint import Checkpoint
from .checkpoint.registry import with_hub
from .checkpoint.tokenization import Padding, padding_of, serving_tokenizer
from .errors import CheckpointError, ParityError
from .examination.examine import expected_bytes, read, written_precisions
from .graph.initializers import Initializers
from .graph.model_file import MODEL_FILE, model_files, write_model
from .graph.precision import Precision
from .lineage import Lineage
from .options import Exporter, ExportOptions
from .parity.check import check_graph, reference_of, running_graph
from .parity.engines import running_engine
from .parity.reference import Reference
from .parity.report import ParityReport
from .parity.rounded import running_rounded
from .progress import size, step
from .reference import of_labels
from .repository.artefact import Artefact
from .repository.publish import ExportedModel, publish
from .repository.workspace import require_space, workspace

_PACKAGES: Final = ("onnx", "onnxruntime", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """A finished export."""

    name: str
    version: int
    artefact: Artefact
    parity: ParityReport
    file_bytes: dict[str, int]
    """Size of each published file, by name."""
    load_s: float
    """Time in which a session loaded the model, during the parity check."""


def export(options: ExportOptions) -> ExportResult:
    """Export a checkpoint into a model repository.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        ParityError: The graph does not answer as the checkpoint does; the message holds the table.
        RepositoryError: The repository cannot be written, or the disk is full.
    """
    with workspace(options.repository) as folder:
        models = {precision: folder / precision / _PLACES[options.form] for precision in written_precisions(options)}
        artefact, tokenizer, reference, counted = _with_checkpoint(options, models)
        report, load_s = ParityReport(), 0.0
        if reference is not None:
            load_s = _compare(options, artefact, models, reference, report)
        if not report.passed:
            raise ParityError(
                f"the exported {options.task.value} model does not answer as its checkpoint does; the repository is "
                f"as it was before this change\n{report.table()}\n{report.hints()}".rstrip()
            )
        artefact = artefact.with_parity(report.figures())
        model = models[options.precision]
        file_bytes = {file.name: file.stat().st_size for file in model_files(model)}
        name = options.model_name(artefact.model_type)
        made = ExportedModel(name=name, artefact=artefact, model=model, tokenizer=tokenizer, reference=counted)
        number = publish(made, options.repository, replace=options.replace, serve=options.serve)
    return ExportResult(
        name=name,
        version=number,
        artefact=artefact,
        parity=report,
        file_bytes={**file_bytes, "tokenizer.json": len(tokenizer.encode())},
        load_s=load_s,
    )


def _compare(
    options: ExportOptions,
    artefact: Artefact,
    models: dict[Precision, Path],
    reference: Reference,
    report: ParityReport,
) -> float:
    """Compare every graph with the checkpoint and delete all but the wanted one; the seconds that it took to load."""
    load_s = 0.0
    # Only int8 graphs use native operators, so the library is not built for the others.
    native = ensure_operators().path if options.precision is Precision.INT8 else None
    whole = running_rounded if options.precision is Precision.BF16 else running_graph
    running = {"loop": whole, "step": running_engine(artefact.max_tokens)}[options.form]
    check = partial(check_graph, report, reference, tolerances=options.tolerances, running=running)
    for precision, path in models.items():
        with step(f"comparing the {precision} graph with transformers"):
            load_s = check(precision, path)
        if precision.number_format.integers and native:
            with step(f"comparing the {precision} graph on native operators with transformers"):
                load_s = check(precision, path, operators=native)
        if precision is not options.precision:
            for file in model_files(path):
                file.unlink()
    return load_s


def _with_checkpoint(
    options: ExportOptions, models: dict[Precision, Path]
) -> tuple[Artefact, str, Reference | None, str]:
    """Do everything that needs the checkpoint in memory; it is released on return.

    Writes the graphs. Returns the facts about the checkpoint, the text of its served tokenizer, its answers where the
    graphs are compared with them, and the text of its ``reference.json``, which is empty where it has none.
    """
    checkpoint, found = read(options)
    tokenizer, padding = serving_tokenizer(checkpoint), padding_of(checkpoint)
    parameters, expected = checkpoint.parameters, expected_bytes(checkpoint, options)
    require_space(options.repository, sum(expected.values()) + 2 * len(tokenizer.encode()))
    write = _FORMS[options.form](checkpoint, options, next(iter(models.values())).parents[1])
    for precision, path in models.items():
        path.parent.mkdir()
        facts = f"{parameters / 1e6:.1f} M weights, up to {size(expected[precision])}"
        with step(f"writing the {precision} graph: {facts}"):
            write(precision, path)
    reference = None
    if options.compared:
        with step("asking transformers for its answers"):
            reference = reference_of(checkpoint, tokenizer, padding)
    counted = of_labels(found.reference, checkpoint.labels)
    return _artefact(checkpoint, options, padding, with_hub(found.lineage)), tokenizer, reference, counted


def _artefact(checkpoint: Checkpoint, options: ExportOptions, padding: Padding, lineage: Lineage) -> Artefact:
    return Artefact(
        task=checkpoint.task.value,
        architecture=checkpoint.architecture.model_class,
        model_type=checkpoint.architecture.model_type,
        precision=options.precision.value,
        target=options.target.value,
        checkpoint=checkpoint.source,
        max_tokens=checkpoint.max_tokens,
        window=checkpoint.window,
        vocabulary=checkpoint.config.vocab_size,
        parameters=checkpoint.parameters,
        padding_side=padding.side,
        pad_id=padding.pad_id,
        pad_type_id=padding.pad_type_id,
        token_types=padding.token_types,
        labels=checkpoint.labels,
        quotes=checkpoint.architecture.answers is AnswerKind.TEXT,
        style=options.style,
        extraction=options.served_extraction,
        num_beams=options.num_beams,
        max_length=options.max_length,
        form=options.form,
        exporter=options.exporter.value,
        lineage=lineage,
        packages={package: version(package) for package in _PACKAGES},
    )


GraphWriter = Callable[[Precision, Initializers], onnx.ModelProto]
FileWriter = Callable[[Precision, Path], None]
"""Writes a model of a precision to its file or folder."""


def build(
    checkpoint: Checkpoint, precision: Precision, initializers: Initializers, target: Target = Target.CPU
) -> onnx.ModelProto:
    """The ONNX graph of a checkpoint by our own writer; its weights go to ``initializers``.

    Raises:
        CheckpointError: There is no writer for its architecture, or the graph cannot express the checkpoint.
    """
    return write_graph(checkpoint.architecture, checkpoint.trained, target, precision, initializers)


def _own(checkpoint: Checkpoint, options: ExportOptions, _work: Path) -> GraphWriter:
    return partial(build, checkpoint, target=options.target)


def _optimum(checkpoint: Checkpoint, options: ExportOptions, work: Path) -> GraphWriter:
    """Export the graph with optimum, in fp32; the writer adapts it to the contract and the precision."""
    # Imported here, because few exports need them.
    from .optimum.adapt import adapt
    from .optimum.convert import convert
    from .optimum.environment import ensure_optimum

    if options.target is not Target.CPU:
        raise CheckpointError(
            f"a graph of optimum is for CPUs, not for the target {options.target}: leave --exporter or --target out"
        )
    python = ensure_optimum()
    parameters = checkpoint.model.num_parameters()
    require_space(options.repository, int(2 * parameters * Precision.FP32.number_format.weight_bytes))
    place = work / "optimum"
    # Saved from the loaded model, because a hub id has no folder; optimum's messages contain the folder's name.
    saved, made = place / Path(checkpoint.source).name, place / ".graph"
    checkpoint.model.save_pretrained(saved)
    made.mkdir()
    graph = convert(saved, made, python)
    shutil.rmtree(saved)
    return partial(adapt, graph)


def _loop(checkpoint: Checkpoint, options: ExportOptions, work: Path) -> FileWriter:
    write = _WRITERS[options.exporter](checkpoint, options, work)

    def write_file(precision: Precision, path: Path) -> None:
        write_model(path, partial(write, precision), split_bytes=options.split_bytes)

    return write_file


def _step(checkpoint: Checkpoint, _options: ExportOptions, _work: Path) -> FileWriter:
    write = checkpoint.architecture.write_steps
    if write is None:
        raise CheckpointError(f"a {checkpoint.architecture.model_type} has no form for steps: leave --form out")

    def write_folder(precision: Precision, path: Path) -> None:
        path.mkdir()
        write(checkpoint.trained, precision, path)

    return write_folder


_FORMS: Final[dict[str, Callable[[Checkpoint, ExportOptions, Path], FileWriter]]] = {"loop": _loop, "step": _step}
"""Makes what writes the files of a model, by its form."""
_PLACES: Final = {"loop": MODEL_FILE, "step": "engine"}
"""The file, or the folder, that is written, by its form."""
_WRITERS: Final[dict[Exporter, Callable[[Checkpoint, ExportOptions, Path], GraphWriter]]] = {
    Exporter.OWN: _own,
    Exporter.OPTIMUM: _optimum,
}
