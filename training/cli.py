"""``python -m training``: fit, tune, compare, and what belongs to them; see ``--help``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task

from .commands import data as cli_data
from .commands import evaluation as cli_evaluation
from .commands import experiments as cli_experiments
from .commands.options import add_recipe_options, add_tracking_options, recipe_from, schema_help, tracking_from
from .errors import SettingError, TrainingError

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
    _add_registry(commands)
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


def _add_registry(commands: Any) -> None:
    record = commands.add_parser(
        "record",
        help="send a finished checkpoint to MLflow, when the server was away",
        description="Record a checkpoint folder of 'fit' in MLflow and register its model as the challenger.",
    )
    record.add_argument("folder", type=Path, metavar="DIR", help="a checkpoint folder that 'fit' has written")
    add_tracking_options(record, ray=False)
    record.set_defaults(run=_record)
    promote = commands.add_parser(
        "promote",
        help="make the challenger the champion, if it is better",
        description="Move the alias 'champion' of a task's registered model to the challenger, if that beats the "
        "champion on the same frozen test articles by the margin. The exit code is 0 if it did and 1 if not.",
    )
    promote.add_argument("task", choices=[task.value for task in Task])
    promote.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="how much better: macro-F1 from 0 to 1 (default 0.002), or ROUGE-Lsum from 0 to 100 (default 0.2)",
    )
    promote.add_argument(
        "--data",
        default="",
        metavar="PATH",
        help="measure both anew on the test split of this data; needed when they were tested on different articles",
    )
    promote.add_argument(
        "--evaluation",
        type=Path,
        metavar="PATH",
        help="the challenger's served evaluation (folder or JSON document of 'evaluate'): as both are served, it must "
        "be no worse than the champion on the same rows; kept with the run for the next time",
    )
    promote.add_argument(
        "--against",
        type=Path,
        metavar="PATH",
        help="the champion's served evaluation (default: the one that it was promoted with)",
    )
    add_tracking_options(promote, ray=False)
    promote.set_defaults(run=_promote)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a check that failed, or 2 for an error with a message."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if not sys.warnoptions:  # other people's deprecations are no news to a user
        warnings.simplefilter("ignore")
    try:
        return int(options.run(options))
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _settings(options: argparse.Namespace) -> int:
    from .recipes.kinds import default_recipe
    from .recipes.settings import to_toml

    task = Task(options.task)
    print(to_toml(default_recipe(task, options.base), task), end="")
    return 0


def _fit(options: argparse.Namespace) -> int:
    from .runs.fitting import fit

    task, recipe = recipe_from(options)
    metrics = fit(task, recipe, options.out, tracking=tracking_from(options), ray_address=options.ray_address)
    plain = {name: value for name, value in metrics["test"].items() if not isinstance(value, dict | list)}
    print(json.dumps({"checkpoint": str(options.out), "test": plain}))
    return 0


def _record(options: argparse.Namespace) -> int:
    from .tracking.recording import record

    version = record(options.folder, tracking_from(options))
    print(json.dumps({"checkpoint": str(options.folder), "version": version}))
    return 0


def _promote(options: argparse.Namespace) -> int:
    from .runs.registry import promote

    if options.against is not None and options.evaluation is None:
        raise SettingError("--against is the champion's evaluation; name the challenger's too, with --evaluation PATH")
    verdict = promote(
        Task(options.task),
        tracking_from(options),
        margin=options.margin,
        data=options.data,
        evaluation=options.evaluation,
        against=options.against,
    )
    print(verdict.text)
    return 0 if verdict.promoted else 1
