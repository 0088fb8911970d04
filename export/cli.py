"""The command line of the export room."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from infolens.contract import CONTRACTS, Task

from .checks import Tolerances
from .deployment import DEPLOYMENT, read_deployment
from .errors import ExportError
from .graph import Precision
from .progress import size
from .repository import check_generated, write_generated

_EPILOG = """examples:
  python -m export summary  --checkpoint checkpoints/summary
  python -m export category --checkpoint checkpoints/category --precision fp32
  python -m export veracity --checkpoint checkpoints/veracity --replace
  python -m export category --checkpoint models:/category@champion
  python -m export configs              write every config.pbtxt anew from the contract
  python -m export configs --check      fail if one is out of step (for CI)
  python -m export configs --deployment big.toml --config-name big
                                        beside them, for `make serve ARGS="--config-name big"` on another machine

Every export is compared with its checkpoint on the same articles, in padded batches of several lengths. If they do
not agree, nothing is written and the exit code is 1.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``python -m export``."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Turn checkpoints into served models, and keep the repository's configuration in step.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for task, contract in CONTRACTS.items():
        command = commands.add_parser(task.value, help=f"export a checkpoint as the model {contract.model!r}")
        command.add_argument(
            "--checkpoint",
            required=True,
            metavar="SOURCE",
            help="folder of save_pretrained, a hub id, or a model of an MLflow registry, such as "
            f"models:/{task.value}@champion",
        )
        command.add_argument(
            "--tracking-uri",
            default="",
            metavar="URI",
            help="MLflow server or database of models:/ (default: MLFLOW_TRACKING_URI, else the file mlruns/mlflow.db)",
        )
        _add_repository(command)
        command.add_argument(
            "--precision",
            type=Precision,
            choices=list(Precision),
            default=Precision.INT8,
            help="number format of the weights: int8 with one scale per column, fp32, or fp16 for GPUs (default: int8)",
        )
        command.add_argument(
            "--max-tokens", type=int, metavar="N", help="longest input to serve (default: the checkpoint's limit)"
        )
        if task is Task.SUMMARY:
            command.add_argument(
                "--min-token-f1",
                type=_share,
                default=Tolerances().token_f1,
                metavar="F",
                help="least mean token F1, 0 to 1, between the summaries of int8 or fp16 and the checkpoint's; weights "
                f"that are random or trained for short agree less (default: {Tolerances().token_f1:g})",
            )
        command.add_argument(
            "--replace", action="store_true", help="overwrite the newest version instead of adding the next one"
        )
    configs = commands.add_parser("configs", help="generate every config.pbtxt, or check that they are in step")
    _add_repository(configs)
    configs.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of step")
    configs.add_argument(
        "--deployment",
        type=Path,
        metavar="FILE",
        help="TOML with the numbers that differ from the committed ones, such as max_running = 24 or [summary] "
        "instances = 8; `python -m benchmarks tune` writes one",
    )
    configs.add_argument(
        "--config-name",
        metavar="NAME",
        help="write <model>/configs/NAME.pbtxt in place of <model>/config.pbtxt",
    )
    return parser


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"a share is between 0 and 1, not {text!r}")
    return share


def _add_repository(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--repository",
        type=Path,
        default=Path("model_repository"),
        metavar="DIR",
        help="model repository (default: model_repository)",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if options.command == "configs":
            return _configs(options)
        return _export(options)
    except ExportError as error:
        print(f"export failed: {error}", file=sys.stderr)
        return 1


def _configs(options: argparse.Namespace) -> int:
    deployment = read_deployment(options.deployment) if options.deployment else DEPLOYMENT
    if not options.check:
        written = write_generated(options.repository, deployment, options.config_name)
        print("\n".join(f"wrote {path}" for path in written) or "every generated file is in step")
        return 0
    stale = check_generated(options.repository, deployment, options.config_name)
    for path in stale:
        print(f"out of step: {path}", file=sys.stderr)
    if stale:
        print("run: python -m export configs", file=sys.stderr)
        return 1
    print("every generated file is in step")
    return 0


def _export(options: argparse.Namespace) -> int:
    # Here, so that `configs` and `--help` need neither torch nor transformers.
    from .exporter import ExportOptions, export

    task = Task(options.command)
    outcome = export(
        ExportOptions(
            task=task,
            checkpoint=options.checkpoint,
            tracking_uri=options.tracking_uri,
            repository=options.repository,
            precision=options.precision,
            max_tokens=options.max_tokens,
            replace=options.replace,
            tolerances=Tolerances(token_f1=options.min_token_f1) if task is Task.SUMMARY else Tolerances(),
        )
    )
    print(outcome.parity.table())
    files = ", ".join(f"{name} {size(count)}" for name, count in outcome.file_bytes.items())
    print(
        f"{options.repository / CONTRACTS[task].model}: version {outcome.version}, {outcome.artefact.precision}, "
        f"reads {outcome.artefact.max_tokens} tokens, loads in {outcome.load_s:.2f} s; {files}"
    )
    return 0
