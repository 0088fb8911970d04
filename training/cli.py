"""``python -m training fit TASK --data PATH --base MODEL_OR_PRESET --out DIR``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task

from .data import SCHEMAS, load_splits, unlabelled_pairs
from .errors import TrainingError
from .output import work_folder
from .settings import apply_settings

_EXAMPLES: Final = """\
examples:
  a small classifier from scratch, on any machine:
    python -m training fit category --data category.parquet --base starter --out checkpoints/category

  fine-tune the original on your own CSV, whose columns have other names:
    python -m training fit category --data news.csv --columns text=body,label=section \\
        --base distilbert-base-uncased --out checkpoints/category

  from a hub data set, with other settings:
    python -m training fit summary --data cnn_dailymail:3.0.0 --columns article=article,summary=highlights \\
        --base facebook/bart-large-cnn --out checkpoints/summary --set learning_rate=2e-5

the settings of a task and their defaults:
    python -m training settings veracity --base starter

DIR then holds the model, its tokenizer and metrics.json: the test figures beside a baseline's.
Next: python -m export category --checkpoint DIR
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``python -m training``."""
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train the models that Info Lens serves: summary (BART), category (DistilBERT), veracity (XLNet).",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fit = commands.add_parser(
        "fit",
        help="train one model and measure it",
        description="Train one task's model from labelled articles and write a checkpoint with metrics.json.",
        epilog=_EXAMPLES + "\n" + _schema_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument("task", choices=[task.value for task in Task], help="what the model answers")
    fit.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help=".parquet, .csv, .jsonl or .json file, a folder of them (train.csv, test.csv...), or a hub data set id",
    )
    fit.add_argument(
        "--base", required=True, help="hub id or checkpoint folder of the right architecture, or 'starter'"
    )
    fit.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="the checkpoint's folder; must not exist (a run that was cut off goes on from DIR.partial)",
    )
    fit.add_argument(
        "--columns",
        default="",
        metavar="OURS=THEIRS,...",
        help="where the data's columns have other names, such as text=body,label=section",
    )
    fit.add_argument(
        "--validation", type=float, default=0.1, metavar="F", help="fraction for validation without a split column"
    )
    fit.add_argument("--test", type=float, default=0.1, metavar="F", help="fraction for testing, likewise (both 0.1)")
    fit.add_argument(
        "--unlabelled",
        action="append",
        default=[],
        metavar="PATH",
        help="more articles without labels, for a starter's vocabulary and embeddings; may be repeated",
    )
    fit.add_argument(
        "--hold-out",
        default="",
        metavar="SOURCE,...",
        help="sources (column 'source') to keep out of training and measure apart, as out_of_domain",
    )
    fit.add_argument("--no-cleaning", action="store_true", help="keep source markers, bylines and links in the text")
    fit.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads (default: torch's choice)")
    fit.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting; may be repeated"
    )
    settings = commands.add_parser("settings", help="list a task's settings and their defaults")
    settings.add_argument("task", choices=[task.value for task in Task])
    settings.add_argument("--base", default="starter", help="the defaults differ between 'starter' and fine-tuning")
    return parser


def _schema_help() -> str:
    lines = [
        "columns that each task reads (and 'split': train, validation, test; without it a hash of the text decides):"
    ]
    for task, schema in SCHEMAS.items():
        optional = "".join(f" [{name}]" for name in schema.optional)
        lines.append(f"  {task.value:<9} {schema.body}, {schema.answer}{optional}")
        if schema.labels:
            lines.append(f"            {schema.answer}: {', '.join(schema.labels)}")
    return "\n".join(lines)


def parse_columns(text: str) -> dict[str, str]:
    """Read ``"text=body,label=section"``: our column name -> the source's.

    Raises:
        TrainingError: A part is not ``OURS=THEIRS``.
    """
    result = {}
    for part in filter(None, text.split(",")):
        ours, equals, theirs = part.partition("=")
        if not (equals and ours.strip() and theirs.strip()):
            raise TrainingError(f"--columns is OURS=THEIRS,..., such as text=body,label=section, not {part!r}")
        result[ours.strip()] = theirs.strip()
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 2 for an error that the message explains."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        if options.command == "settings":
            for name, value in dataclasses.asdict(_default_config(Task(options.task), options.base)).items():
                print(f"{name}={value}")
            return 0
        metrics = run_fit(options)
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"checkpoint": str(options.out), "test": _headline(metrics)}))
    return 0


def _headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """The plain figures of the test split, without the tables per class and source."""
    return {name: value for name, value in metrics["test"].items() if not isinstance(value, dict)}


def _default_config(task: Task, base: str) -> Any:
    if task is Task.SUMMARY:
        from .summarizer_config import default_config

        return default_config(base)
    from .classifier_config import default_config as classifier_default

    return classifier_default(task, base)


def run_fit(options: argparse.Namespace) -> dict[str, Any]:
    """Load the data and train what the options of ``fit`` ask for; returns the metrics.

    Raises:
        TrainingError: The options, the data or the base do not fit.
    """
    task = Task(options.task)
    settings = ([f"threads={options.threads}"] if options.threads else []) + options.set
    config = apply_settings(_default_config(task, options.base), settings)
    work_folder(options.out)  # Refused before the data is read.
    splits = load_splits(
        options.data,
        task,
        columns=parse_columns(options.columns),
        validation=options.validation,
        test=options.test,
        clean=not options.no_cleaning,
        hold_out=[name for name in options.hold_out.split(",") if name],
    )
    more = [pair for source in options.unlabelled for pair in unlabelled_pairs(source)]
    if task is Task.SUMMARY:
        from .summarizer import fit as fit_summarizer

        return fit_summarizer(splits, base=options.base, out=options.out, config=config, extra=more)
    from .classifier import fit as fit_classifier

    return fit_classifier(
        splits,
        task=task,
        base=options.base,
        out=options.out,
        config=config,
        more_text=["\n".join(filter(None, (title, text))) for text, title in more],
    )
