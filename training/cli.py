"""``python -m training``: fit, tune, compare, and what belongs to them; see ``--help``."""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task

from . import quiet
from .commands import data as cli_data
from .commands import evaluation as cli_evaluation
from .commands import experiments as cli_experiments
from .commands import promotion as cli_promotion
from .commands.options import add_recipe_options, add_tracking_options, recipe_from, schema_help, tracking_from
from .errors import StoppedError, TrainingError
from .memory import return_early
from .stopping import going_on, stoppable
from .tracking.database import made_beside

_EXAMPLES: Final = """\
examples:
  a small classifier from scratch, on any machine:
    python -m training fit category --data category.parquet --base starter --out checkpoints/category

  fine-tune the original on your own CSV, whose columns have other names:
    python -m training fit category --data news.csv --columns text=body,label=section \\
        --base distilbert-base-uncased --out checkpoints/category

  a RoBERTa with labels of your own, which the data tells; or say how its 0 and 1 are called:
    python -m training fit category --data news.csv --base roberta-base --out checkpoints/category
    python -m training fit veracity --data claims.csv --labels 0=real,1=fake --base microsoft/deberta-v3-base \\
        --out checkpoints/veracity

  four workers that share out the weights of a large model, with adapters instead of all its weights:
    python -m training fit summary --data cnn_dailymail:3.0.0 --columns article=article,summary=highlights \\
        --base facebook/bart-large-cnn --out checkpoints/summary \\
        --set strategy=fsdp --set workers=4 --set precision=bf16 --set lora=true

  a recipe in a file, every setting explained, then a run with one setting changed:
    python -m training settings veracity --base xlnet-base-cased > veracity.toml
    python -m training fit veracity --config veracity.toml --data news.jsonl --out checkpoints/veracity \\
        --set learning_rate=2e-5

DIR then holds the model, its tokenizer, recipe.toml, plots/ and metrics.json: the test figures beside a baseline's.
The run and its model stand in MLflow: python -m mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db
Next: python -m training promote category && python -m export category --checkpoint models:/category@champion
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``python -m training``."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the models that Info Lens serves: a summary, a category or a veracity of news articles.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_fit(commands)
    settings = commands.add_parser(
        "settings",
        help="a recipe with its defaults, as TOML that explains itself",
        description="Print the recipe that a task and a base begin with: a file for 'fit --config'.",
    )
    settings.add_argument("task", choices=[task.value for task in Task])
    settings.add_argument("--base", default="starter", help="the defaults differ between 'starter' and fine-tuning")
    settings.set_defaults(run=_settings)
    cli_experiments.add(commands)
    cli_evaluation.add(commands)
    _add_record(commands)
    cli_promotion.add(commands)
    cli_data.add(commands)
    return parser


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="train one model and measure it",
        description="Train one task's model from labelled articles and write a checkpoint with metrics.json.",
        epilog=_EXAMPLES + "\n" + schema_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe_options(fit)
    fit.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the checkpoint's folder; must not exist (a run that was cut off goes on from DIR.partial)",
    )
    add_tracking_options(fit)
    fit.set_defaults(run=_fit)


def _add_record(commands: Any) -> None:
    record = commands.add_parser(
        "record",
        help="send a finished checkpoint to MLflow, when the server was away",
        description="Record a checkpoint folder of 'fit' in MLflow and register its model as the challenger.",
    )
    record.add_argument("folder", type=Path, metavar="DIR", help="a checkpoint folder that 'fit' has written")
    add_tracking_options(record, ray=False)
    record.set_defaults(run=_record)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit code: 0, 1 for a check that failed, 2 for an error with a message, or 128 and the number of the signal
        that stopped it (130 for Ctrl-C, 143 for SIGTERM, 129 for a closed terminal).
    """
    options = build_parser().parse_args(arguments)
    # Threads of a product wait for the slowest of them. Where others use the machine too they had better sleep: awake,
    # they take the time of the one that is waited for, and a step takes many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    quiet.set_up()
    try:
        with stoppable() as stopped:
            code = int(options.run(options))
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    except (StoppedError, KeyboardInterrupt) as error:
        with suppress(OSError):  # the terminal was closed
            print(f"stopped: {str(error) or 'the same command starts again'}", file=sys.stderr)
        return 128 + stopped.signal
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return 128 + signal.SIGPIPE
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _nobody_reads() -> bool:
    """Whether whoever read standard output has had enough, as ``head`` has; what is left of it goes nowhere then."""
    with suppress(OSError, ValueError):  # it is no file
        output = sys.stdout.fileno()
        pipe = select.poll()
        pipe.register(output, 0)
        if any(events & select.POLLERR for _, events in pipe.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
            return True
    return False


def _settings(options: argparse.Namespace) -> int:
    from .recipes.kinds import default_recipe
    from .recipes.settings import to_toml

    task = Task(options.task)
    print(to_toml(default_recipe(task, options.base), task), end="")
    return 0


def _fit(options: argparse.Namespace) -> int:
    from .runs.output import work_folder

    task, recipe = recipe_from(options)
    tracking = tracking_from(options)
    work_folder(options.out)  # refused before a database is made beside
    return_early()
    with made_beside(tracking.file if tracking.enabled else None):
        gc.disable()  # what libraries make while they are loaded stays: looking through it takes a fifth of that time
        try:
            from .commands.ended import told
            from .runs.fitting import fit

            if tracking.enabled:
                import mlflow  # noqa: F401 (loaded here)
        finally:
            gc.enable()
            gc.freeze()
        metrics = fit(task, recipe, options.out, tracking=tracking, ray_address=options.ray_address)
    print(told(task, metrics, options.out, tracking), file=sys.stderr)
    plain = {name: value for name, value in metrics["test"].items() if not isinstance(value, dict | list)}
    print(json.dumps({"checkpoint": str(options.out), "test": plain}))
    return 0


def _record(options: argparse.Namespace) -> int:
    from .tracking.recording import record

    with going_on("the checkpoint is as it was: the same command sends it again"):
        version = record(options.folder, tracking_from(options))
    print(json.dumps({"checkpoint": str(options.folder), "version": version}))
    return 0
