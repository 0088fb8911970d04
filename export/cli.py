"""The command line of the export room."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task, TaskContract
from infolens.targets import Target

from . import drift, steps
from .arguments import add_repository, add_target, share
from .calibration import command as calibration
from .checkpoint.labels import read_naming
from .errors import ExportError
from .examination import several
from .graph.precision import Precision
from .parity.summary_options import add_summary_options, summary_options
from .parity.tolerances import Tolerances
from .progress import size
from .repository import command as repository_command
from .repository.contents import require_artefacts, serving
from .repository.deployment import stored_deployment
from .repository.model_card import CARD, came_from

if TYPE_CHECKING:
    from .exporter import ExportResult
    from .options import ExportOptions

_UNCHANGED: Final = "the repository is as it was before"
_IN_STEP: Final = "run it again, or see with `python -m export configs --check` whether the repository is in step"
_WINDOW = "judge a longer article by windows of W tokens, spread over it, up to --max-tokens in all (default: none)"
_EPILOG = """examples:
  python -m export summary  --checkpoint checkpoints/summary
  python -m export summary  --checkpoint checkpoints/summary --style extractive --extraction nearest --name bart_quotes
                                        as a model of another name, which quotes unless a request says otherwise
  python -m export summary  --checkpoint checkpoints/summary --style extractive --extraction choice
                                        quotes what its head chooses (a checkpoint that was trained for it)
  python -m export category --checkpoint checkpoints/category --precision fp32
  python -m export veracity --checkpoint checkpoints/veracity --replace
  python -m export category --checkpoint models:/category@champion
  python -m export category --checkpoint checkpoints/roberta --labels LABEL_0=Business,LABEL_1=Politics
  python -m export category --checkpoint checkpoints/deberta --exporter optimum
  python -m export category --checkpoint checkpoints/category --target cuda
                                        for `make serve ARGS="--target cuda"`, on a GPU
  python -m export all --target cuda --summary checkpoints/summary --category checkpoints/category \\
                       --veracity checkpoints/veracity
                                        several tasks, one after the other
  python -m export calibrate category unseen.parquet
                                        fit how sure it must be, on articles that it was not trained on
  python -m export reference distilbert --data category.parquet
                                        count what its training articles were like, so that the server can tell of drift
  python -m export list                 the models of the repository, and which of them serve
  python -m export serve category distilbert
                                        let another model of the repository answer
  python -m export steps model_repository/bart/1 --out steps
                                        the summarizer as an encoder and one step, for an engine with slots
  python -m export remove distilbert    delete its newest version: the one before answers again
  python -m export configs              generate every config.pbtxt from the contract
  python -m export configs --check      fail if one is out of step (for CI)
  python -m export configs --deployment big.toml --config-name big
                                        beside them, for `make serve ARGS="--config-name big"` on another machine

Every export is compared with its checkpoint on the same articles, in padded batches of several lengths. If they do
not agree, nothing is written and the exit code is 1; it is 130 after Ctrl-C.
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
        _add_task(commands, task, contract)
    several.add_command(commands)
    repository_command.add(commands, add_repository)
    calibration.add_command(commands)
    steps.add_command(commands)
    drift.add_command(commands)
    return parser


def _precisions(answers: AnswerKind) -> str:
    """The number formats that models of a task may have, in words."""
    by_target = ", ".join(f"for {target} {' or '.join(target.record.precisions)}" for target in Target)
    said = f"number format of the weights, each target's default first: {by_target}; int8 has one scale per column"
    steps_too = "; with --form step also bf16 without a --target, because the files of steps are the same for all"
    return said + {AnswerKind.TEXT: steps_too, AnswerKind.LABELS: ""}[answers]


def _add_task(commands: Any, task: Task, contract: TaskContract) -> None:
    command = commands.add_parser(task.value, help=f"export a checkpoint as a model for {contract.ensemble!r}")
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
    add_repository(command)
    command.add_argument(
        "--name",
        default="",
        help=f"name of the model in the repository (default: {contract.model} for a {contract.architecture}, and "
        f"{contract.model_name('FAMILY')} for others)",
    )
    command.add_argument(
        "--keep-serving",
        action="store_true",
        help=f"let {contract.ensemble!r} ask the same model as before (default: the new one from now on)",
    )
    command.add_argument(
        "--precision",
        type=Precision,
        choices=list(Precision),
        help=_precisions(contract.answers),
    )
    add_target(command)
    command.add_argument("--max-tokens", type=int, metavar="N", help="longest input (default: the checkpoint's limit)")
    _OPTIONS[contract.answers](command)
    command.add_argument("--replace", action="store_true", help="overwrite the newest version, add no new one")


def _add_text_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--min-token-f1",
        type=share,
        default=Tolerances().token_f1,
        metavar="F",
        help="minimum mean token F1, 0 to 1, between the summaries of int8 or fp16 and the checkpoint's; weights "
        f"that are random or trained briefly agree less (default: {Tolerances().token_f1:g})",
    )
    add_summary_options(command)


def _add_label_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--labels",
        metavar="NAMES",
        help="names for the checkpoint's classes: THEIRS=OURS,... such as LABEL_0=Business,LABEL_1=Politics, or a file "
        "with one label (or one THEIRS=OURS) on each line, in the order of the classes (default: the checkpoint's own)",
    )
    command.add_argument(
        "--exporter",
        choices=("own", "optimum"),
        default="own",
        help="what writes the graph: our own writers, or optimum for families that have none, such as DeBERTa, in an "
        "environment of its own that is installed once (default: own)",
    )
    calibration.add_export_options(command)
    command.add_argument("--window", type=int, default=0, metavar="W", help=_WINDOW)
    command.set_defaults(min_token_f1=Tolerances().token_f1)


_OPTIONS: Final = {AnswerKind.TEXT: _add_text_options, AnswerKind.LABELS: _add_label_options}
"""Adds the options of a task, by the kind of its answers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return _COMMANDS.get(options.command, _export)(options)
    except ExportError as error:
        print(f"export failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        usual = _UNCHANGED if options.command in CONTRACTS else _IN_STEP
        print(f"stopped: {str(stop) or usual}", file=sys.stderr)
        return 128 + signal.SIGINT


def _all(options: argparse.Namespace) -> int:
    parse = build_parser().parse_args
    return several.run(options, parse=parse, options_of=_export_options, export_one=_export)


def _export(options: argparse.Namespace) -> int:
    # Imported here, so that `configs` and `--help` need neither torch nor transformers.
    from transformers.utils.logging import disable_progress_bar

    from .exporter import export

    disable_progress_bar()  # The log has a line for each step instead.
    if options.calibrate:
        calibration.check_tables(options, Task(options.command))

    outcome = export(_export_options(options))
    try:
        return _tell(options, outcome)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{outcome.name} had been published by then, as version {outcome.version} in {options.repository}"
        ) from None


def _export_options(options: argparse.Namespace) -> ExportOptions:
    """What the command line of a task asks for."""
    # Imported here, so that `configs` and `--help` need neither torch nor transformers.
    from .options import Exporter, ExportOptions

    return ExportOptions(
        task=Task(options.command),
        checkpoint=options.checkpoint,
        tracking_uri=options.tracking_uri,
        repository=options.repository,
        name=options.name,
        serve=not options.keep_serving,
        target=options.target,
        precision=options.precision or Precision(options.target.record.default_precision),
        exporter=Exporter(options.exporter),
        max_tokens=options.max_tokens,
        naming=None if options.labels is None else read_naming(options.labels),
        replace=options.replace,
        **summary_options(options, options.target),
    )


def _tell(options: argparse.Namespace, outcome: ExportResult) -> int:
    """Print what was exported, and calibrate it if that is asked for; returns the exit code."""
    print(outcome.parity.table())
    files = ", ".join(f"{name} {size(count)}" for name, count in outcome.file_bytes.items())
    print(
        f"{options.repository / outcome.name}: version {outcome.version}, {outcome.artefact.precision} for "
        f"{outcome.artefact.target}, "
        f"reads {outcome.artefact.max_tokens} tokens, loads in {outcome.load_s:.2f} s; {files}"
    )
    if outcome.artefact.lineage:
        print(f"from: {came_from(outcome.artefact.lineage)}; its card: {options.repository / outcome.name / CARD}")
    if outcome.artefact.labels:
        print(f"labels: {' | '.join(outcome.artefact.labels)}")
    if outcome.version > 1 and not options.replace:
        print(
            f"it takes the place of version {outcome.version - 1} at the server's next start; --name NAME puts a model "
            "beside the others"
        )
    if outcome.artefact.precision == Precision.BF16:
        print("bf16 runs on GPUs alone: a server on CPUs cannot load it, and answers without summaries")
    _say_who_serves(options, outcome.name)
    if options.calibrate:
        return calibration.run(options, Task(options.command), outcome.name)
    if outcome.artefact.labels:
        print(f"it is always sure of its answers until: python -m export calibrate {options.command} FILE...")
    return 0


def _steps(options: argparse.Namespace) -> int:
    code = steps.run(options)
    print(
        f"{options.out}: {options.version} in steps. Put it in that version's place in a copy of its repository, run\n"
        "`python -m export configs --repository COPY`, and the server answers with it (engine/README.md)"
    )
    return code


def _calibrate(options: argparse.Namespace) -> int:
    return calibration.run(options, Task(options.task), options.name)


def _say_who_serves(options: argparse.Namespace, made: str) -> None:
    """Print which model answers the task from the server's next start on, if there are several for it."""
    task, artefacts = Task(options.command), require_artefacts(options.repository)
    others = [name for name, artefact in artefacts.items() if artefact.task == task and name != made]
    if others:
        served = serving(artefacts, stored_deployment(options.repository))[task]
        choice = made if served != made else others[0]
        print(
            f"{CONTRACTS[task].ensemble} asks {served} from the server's next start on; to change that: "
            f"python -m export serve {task} {choice}"
        )


_COMMANDS: Final = {
    "all": _all,
    "calibrate": _calibrate,
    "steps": _steps,
    "reference": drift.run,
    **repository_command.COMMANDS,
}
"""The commands that are not the name of a task."""
