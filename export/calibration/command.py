"""``python -m export calibrate``, and ``--calibrate`` of an export."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from export.arguments import add_repository, share
from infolens.contract import CONTRACTS, AnswerKind, Task

from .held_out import HeldOut

_COLUMNS: Final = ("text", "label", "title", "source")
_SHOWN: Final = ("threshold", "coverage", "accuracy", "macro_f1", "accuracy_answered", "ece", "ece_calibrated", "aurc")
"""The figures that are printed, where there are such."""
_HELP: Final = "fit how sure a classifier must be, on tables of articles that it was not trained on"


def add_command(commands: Any) -> None:
    """Add the command ``calibrate``."""
    tasks = [task.value for task, contract in CONTRACTS.items() if contract.answers is AnswerKind.LABELS]
    command = commands.add_parser("calibrate", help=_HELP, description=_HELP.capitalize() + ".")
    command.add_argument("task", choices=tasks)
    command.add_argument(
        "calibrate",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="Parquet, CSV or JSON (lines): text, label, and title and source if there are such columns; best of "
        "several collections",
    )
    command.add_argument("--name", default="", help="the model (default: the one that answers the task)")
    add_repository(command)
    _add_options(command)


def add_export_options(command: argparse.ArgumentParser) -> None:
    """Add ``--calibrate`` and its options to the export of a classifier."""
    command.add_argument(
        "--calibrate", nargs="+", type=Path, default=[], metavar="FILE", help=f"after the export {_HELP}"
    )
    _add_options(command)


def _add_options(command: argparse.ArgumentParser) -> None:
    for column in _COLUMNS:
        command.add_argument(
            f"--{column}-column", default=column, metavar="NAME", help=f"its name in the tables (default: {column})"
        )
    command.add_argument(
        "--sources",
        default="",
        metavar="NAMES",
        help="the collections that are taken, with commas between them (default: all)",
    )
    command.add_argument(
        "--in-domain",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="tables of articles of the collections that it was trained on, which it has not seen: measures how often "
        "it is right on them too (collections that it is calibrated on are left out; no others may be in there that it "
        "was not trained on)",
    )
    command.add_argument(
        "--in-domain-split",
        default="",
        metavar="NAME",
        help="take the rows of these tables whose column split is NAME, such as test (default: all)",
    )
    command.add_argument(
        "--risk",
        type=share,
        default=0.2,
        metavar="SHARE",
        help="how many of the answers may be wrong, every collection counting the same (default: 0.2)",
    )
    command.add_argument(
        "--held-out",
        choices=[one.value for one in HeldOut],
        help="what the figures are measured on: each collection in turn, fitted on the others (what is served is "
        "fitted on all), or one half of the articles, fitted on the other (default: collection where the tables have "
        "at least two, half where they have one)",
    )


def run(options: argparse.Namespace, task: Task, name: str) -> int:
    """Calibrate a model, and print what came of it; returns the exit code.

    Args:
        options: The parsed command line.
        task: The model's task.
        name: The model; empty for the one that answers the task.
    """
    # Imported here, so that other commands need neither pandas nor scipy.
    from .calibrate import calibrate

    done = calibrate(_options(options, task, name))
    artefact, facts = done.artefact, done.artefact.calibration
    print("\n".join(f"wrote {path}" for path in done.written) or "everything is as it was")
    print(f"{done.name}: temperature {artefact.temperature:g}, sure from {artefact.threshold:g} on")
    for figures in facts["figures"]:
        print(f"  {_line(figures)}")
    if known := facts.get("in_domain"):
        print(f"  in domain: {known['articles']:,} articles, accuracy {known['accuracy']:.3f}")
    if not facts["reached"]:
        print(
            f"warning: no threshold makes at most {facts['risk'] * 100:g}% of the answers wrong and answers "
            f"{facts['least_answered']:.0%} of the articles; this one has the fewest wrong answers. Train on articles "
            "of more kinds, or allow a higher --risk"
        )
    return 0


def check_tables(options: argparse.Namespace, task: Task) -> None:
    """Read the tables of an export's ``--calibrate`` once before the export, so that what is wrong is known at once.

    Raises:
        TableError: A table cannot be used.
    """
    from .calibrate import check_rows, read_in_domain
    from .tables import read_rows

    wanted = _options(options, task, "")
    rows = read_rows(wanted.files, None, columns=wanted.columns, sources=wanted.sources)
    check_rows(wanted, rows)
    read_in_domain(wanted, None, rows)


def _options(options: argparse.Namespace, task: Task, name: str) -> Any:
    from .calibrate import CalibrateOptions
    from .tables import Columns

    return CalibrateOptions(
        task=task,
        files=tuple(options.calibrate),
        repository=options.repository,
        name=name,
        columns=Columns(**{column: getattr(options, f"{column}_column") for column in _COLUMNS}),
        sources=tuple(name.strip() for name in options.sources.split(",") if name.strip()),
        risk=options.risk,
        held_out=None if options.held_out is None else HeldOut(options.held_out),
        in_domain=tuple(options.in_domain),
        in_domain_split=options.in_domain_split,
    )


def _line(figures: Mapping[str, Any]) -> str:
    numbers = (f"{key} {figures[key]:.3f}" for key in _SHOWN if figures.get(key) is not None)
    return f"{figures['collection']}: {figures['articles']:,} articles, {', '.join(numbers)}"
