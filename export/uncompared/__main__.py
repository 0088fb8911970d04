"""``python -m export.uncompared``: checkpoints into a model repository for a target, without a comparison.

For measurements with random weights, whose answers say nothing: at full size those of ``transformers`` alone take
longer than all of a measurement. What is served to people comes from ``python -m export``, which compares it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from export.errors import ExportError, RepositoryError
from export.exporter import export
from export.graph.precision import Precision
from export.options import ExportOptions
from infolens.contract import CONTRACTS, AnswerKind, Task
from infolens.targets import Target


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m export.uncompared",
        description="Write checkpoints into a new model repository. Nothing is compared: it is for measurements, not "
        "for serving.",
    )
    for task, contract in CONTRACTS.items():
        kind = f"a folder that save_pretrained wrote, or a hub id, for {contract.ensemble!r}"
        parser.add_argument(f"--{task.value}", metavar="CHECKPOINT", help=kind)
    parser.add_argument("--target", type=Target, choices=list(Target), default=Target.CPU, help="default: %(default)s")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="what a model reads at most (default: all it can)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder that is not there yet")
    args = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    checkpoints = {task: source for task in CONTRACTS if (source := getattr(args, task.value))}
    try:
        write_repository(checkpoints, args.out, args.target, args.max_tokens)
    except ExportError as error:
        sys.stderr.write(f"export failed: {error}\n")
        return 1
    return 0


def write_repository(checkpoints: Mapping[Task, str], out: Path, target: Target, max_tokens: int | None = None) -> None:
    """Write a model repository with a model for each checkpoint, which answers its task.

    Args:
        checkpoints: A folder of ``save_pretrained`` or a hub id for each task.
        out: The repository; a folder that is not there yet.
        target: What the models run on, in the number format that is its default.
        max_tokens: What each model reads of an article at most; None for all that it can.

    Raises:
        CheckpointError: A checkpoint cannot be used.
        RepositoryError: The folder is there already, or it cannot be written.
    """
    if out.exists():
        raise RepositoryError(f"{out} is there already: name a folder with --out that is not")
    forms = {AnswerKind.TEXT: target.record.default_text_form, AnswerKind.LABELS: "loop"}
    for task, source in checkpoints.items():
        options = ExportOptions(
            task=task,
            checkpoint=source,
            repository=out,
            target=target,
            precision=Precision(target.record.default_precision),
            max_tokens=max_tokens,
            form=forms[CONTRACTS[task].answers],
            compared=False,
        )
        export(options)


if __name__ == "__main__":
    raise SystemExit(main())
