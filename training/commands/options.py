"""Options that several commands of ``python -m training`` share, and what they become."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from infolens.contract import CONTRACTS, Task
from training.data.labels import shown
from training.data.schema import schema_of
from training.errors import SettingError
from training.recipes.kinds import default_recipe
from training.recipes.recipe import Recipe
from training.recipes.settings import apply_settings, read_toml, replace_fields
from training.tracking.client import Tracking

_SHORTCUTS = ("data", "encoding", "columns", "labels", "unlabelled", "hold_out")

DATA_HELP = ".parquet, .csv, .tsv, .jsonl or .json file (also .gz), or a folder of them"
ENCODING_HELP = "how text files are written, such as cp1252 (default: what their first bytes say, else UTF-8)"
LABELS_HELP = (
    "the labels, in the order of their ids, or THEIRS=NAME where the data writes others, such as 0=real,1=fake; "
    "several of theirs may be one of yours, and a name with a comma or = stands in double quotes "
    "(default: every label that the data has)"
)


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add the task and what makes its recipe; `recipe_from` reads them."""
    parser.add_argument("task", choices=[task.value for task in Task], help="what the model answers")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a recipe (TOML), as 'settings' prints it")
    parser.add_argument(
        "--data",
        metavar="PATH",
        help=f"{DATA_HELP} (train.csv, test.csv...), or a hub data set id",
    )
    parser.add_argument("--encoding", metavar="NAME", help=ENCODING_HELP)
    parser.add_argument("--base", metavar="MODEL", help="hub id or checkpoint folder, or 'starter' (default)")
    parser.add_argument(
        "--columns",
        metavar="OURS=THEIRS,...",
        help="where the data's columns have other names, such as text=body,label=section",
    )
    parser.add_argument("--labels", metavar="NAME,...", help=LABELS_HELP)
    parser.add_argument(
        "--unlabelled",
        action="append",
        metavar="PATH",
        help="more articles without labels, for a starter's vocabulary and embeddings, and for unlabelled_passes; may "
        "be repeated",
    )
    parser.add_argument(
        "--hold-out",
        metavar="SOURCE,...",
        help="sources (column 'source') to keep out of training and measure apart, as out_of_domain",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change any setting; may be repeated"
    )


def recipe_from(options: argparse.Namespace) -> tuple[Task, Recipe]:
    """The task and the recipe: defaults, then the file, then the options, then ``--set``.

    Raises:
        SettingError: The file or a setting does not fit, or no data is named.
    """
    task = Task(options.task)
    saved = read_toml(options.config) if options.config else {}
    named = saved.pop("task", task.value)
    if named != task.value:
        raise SettingError(f"{options.config}: is a recipe for {named}, not for {task.value}")
    sets = dict(part.partition("=")[::2] for part in options.set)
    base = sets.get("base") or options.base or saved.get("base") or "starter"
    recipe = replace_fields(default_recipe(task, str(base)), saved, where=f"{options.config}: ")
    given: dict[str, Any] = {name: getattr(options, name) for name in _SHORTCUTS if getattr(options, name) is not None}
    recipe = apply_settings(replace_fields(recipe, given | {"base": str(base)}), options.set)
    if not recipe.data:
        raise SettingError('no data: name it with --data PATH, or as data = "PATH" in the recipe')
    return task, recipe


def add_tracking_options(parser: argparse.ArgumentParser, *, ray: bool = True) -> None:
    """Add where runs are recorded, and the address of a Ray cluster."""
    parser.add_argument(
        "--tracking-uri",
        default="",
        metavar="URI",
        help="MLflow server or database (default: MLFLOW_TRACKING_URI, else the file mlruns/mlflow.db); 'none' records "
        "nothing",
    )
    parser.add_argument(
        "--experiment", default="infolens", metavar="NAME", help="MLflow experiment (default: infolens)"
    )
    if ray:
        parser.add_argument(
            "--ray-address",
            default="",
            metavar="ADDRESS",
            help="train on this Ray cluster, such as ray://head:10001 or auto (default: RAY_ADDRESS, else Ray on this "
            "machine, which 'local' means too)",
        )


def tracking_from(options: argparse.Namespace) -> Tracking:
    """Where the runs of a command are recorded."""
    return Tracking.named(options.tracking_uri, experiment=options.experiment)


def schema_help() -> str:
    """Which columns each task reads."""
    lines = [
        "columns that each task reads (and 'split': train, validation, test; a hash of the text decides where it lacks "
        "one; and 'weight': a number above 0, how much a training row counts beside those that have 1 or none):"
    ]
    for task in Task:
        schema, usual = schema_of(task), CONTRACTS[task].default_labels
        optional = "".join(f" [{name}]" for name in schema.optional)
        lines.append(f"  {task.value:<9} {schema.body}, {schema.answer}{optional}")
        if schema.labelled:
            lines.append(
                f"            {schema.answer}: any two or more" + (f"; usually {shown(usual)}" if usual else "")
            )
    return "\n".join(lines)
