"""``python -m export steps``: the form of an engine with slots, from a summarizer that was exported as one graph."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reading.reference import FILE as REFERENCE_FILE

from .errors import RepositoryError
from .graph.model_file import MODEL_FILE
from .graph.precision import Precision
from .progress import step
from .reference import read_reference
from .repository.artefact import FILE_NAME, WITHOUT_CHOICE, extraction_in, read_artefact
from .repository.workspace import workspace

_LOG = logging.getLogger(__name__)

_DESCRIPTION: Final = f"""\
Write encoder.onnx, step.onnx and what belongs to them from the {MODEL_FILE} of a summarizer in int8: with the same
integers and scales, so that both forms write the same summaries. It needs no checkpoint, and compares nothing. The
folder is a version of the model, for a copy of its repository; int8 is for CPUs, so a GPU needs an export of the
checkpoint with --form step and --precision bf16 or fp16.
"""


def add_command(commands: Any) -> None:
    """Add the command ``steps``."""
    steps = commands.add_parser(
        "steps",
        help="write a summarizer that was exported as one graph in the form of an engine with slots",
        description=_DESCRIPTION,
    )
    steps.add_argument(
        "version",
        type=Path,
        metavar="VERSION",
        help=f"folder with {MODEL_FILE} and {FILE_NAME}, such as model_repository/bart/1",
    )
    steps.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ExportError: The model is none that can be read back, or the folder cannot be written.
    """
    # Imported here, so that other commands need neither torch nor transformers.
    from .architectures.bart_steps import write_steps
    from .checkpoint.read_back import read_back

    version, out = options.version, options.out
    if out.exists():
        raise RepositoryError(f"{out} is there already: name a folder with --out that is not")
    artefact = read_artefact(version / FILE_NAME)
    trained = read_back(version / MODEL_FILE, max_tokens=artefact.max_tokens, window=artefact.window)
    with workspace(out) as work:
        written = work / out.name
        written.mkdir()
        with step(f"writing {out}"):
            write_steps(trained, Precision.INT8, written)
            extraction = extraction_in("step", artefact.extraction)
            stepwise = replace(artefact, form="step", extraction=extraction, parity={})
            (written / FILE_NAME).write_text(stepwise.to_json(), encoding="utf-8")
            if reference := read_reference(version):
                (written / REFERENCE_FILE).write_text(reference, encoding="utf-8")
        written.rename(out)
    if extraction != artefact.extraction:
        _LOG.info(WITHOUT_CHOICE)
    return 0
