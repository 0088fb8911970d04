"""``python -m export.uncompared.forms``: a checkpoint of a summarizer as one graph and as steps, in int8, uncompared.

For measurements with random weights, whose answers say nothing: at full size those of ``transformers`` alone take
longer than all of a measurement. What is served comes from ``python -m export summary``, which compares it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from export.checkpoint.checkpoint import load_checkpoint
from export.errors import CheckpointError, ExportError, RepositoryError
from export.graph.model_file import MODEL_FILE, write_model
from export.graph.precision import Precision
from export.progress import step
from export.repository.workspace import workspace
from infolens.contract import Task

STEPS: Final = "steps"
"""The folder of the second form, beside the graph of the first."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m export.uncompared.forms",
        description=f"Write a summarizer in int8 in both forms: {MODEL_FILE}, and in the folder {STEPS} beside it what "
        "an engine with slots reads. Nothing is compared: it is for measurements, not for serving.",
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a folder that save_pretrained wrote, or a hub id")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")
    args = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        write_forms(args.checkpoint, args.out)
    except ExportError as error:
        sys.stderr.write(f"export failed: {error}\n")
        return 1
    return 0


def write_forms(source: str, out: Path) -> None:
    """Write both forms of a checkpoint, with the same integers and scales.

    Args:
        source: A folder of ``save_pretrained``, or a hub id.
        out: Gets ``model.onnx``, and the files of `engine.artefact` in `STEPS`.

    Raises:
        CheckpointError: The checkpoint cannot be used.
        RepositoryError: The folder is there already, or it cannot be written.
    """
    if out.exists():
        raise RepositoryError(f"{out} is there already: name a folder with --out that is not")
    with step(f"reading {source}"):
        checkpoint = load_checkpoint(Task.SUMMARY, source)
    record = checkpoint.architecture
    if record.write is None or record.write_steps is None:
        raise CheckpointError(f"a {record.model_type} is not written in both forms: take a checkpoint of BART")
    with workspace(out) as work:
        written = work / out.name
        (written / STEPS).mkdir(parents=True)
        with step("writing the one graph"):
            write_model(written / MODEL_FILE, partial(record.write, checkpoint.trained, Precision.INT8))
        with step("writing the steps"):
            record.write_steps(checkpoint.trained, Precision.INT8, written / STEPS)
        written.rename(out)


if __name__ == "__main__":
    raise SystemExit(main())
