"""The commands ``data check`` and ``data prepare``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infolens.contract import Task
from training.data.files.opening import encoding_fault
from training.errors import SettingError
from training.recipes.settings import parse_columns, parse_list
from training.runs.output import check_file, write_whole
from training.stopping import going_on

from . import feedback
from .options import DATA_HELP, ENCODING_HELP, LABELS_HELP, schema_help

if TYPE_CHECKING:
    from training.data.policy import RowPolicy

_EXAMPLES: Final = """\
examples:
  python -m training data check category --data news.csv --columns text=body,label=section
  python -m training data check veracity --data this_year.parquet --against last_year.parquet --json report.json
  python -m training data prepare veracity --data raw.jsonl --out veracity.parquet --skip-bad-rows \\
      --labels 0=real,1=fake
  python -m training data prepare category --data agency.csv --out category.parquet \\
      --labels 'Business,Sports,Sci/Tech=Business,"Law, Order"=Politics'

Both read the table part by part, so it may be larger than the memory; for each article a hash and a signature of about
1 kB are kept.
"""


def add(commands: Any) -> None:
    """Add the commands."""
    data = commands.add_parser(
        "data",
        help="look at a table before training on it, make a clean one of it, or one of what people said",
        description="Check a table, or prepare a clean one with splits that share nothing.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = _parser(actions, "check", "rows that do not fit, statistics, leaks, copies across splits, drift")
    check.add_argument("--against", default="", metavar="PATH", help="another table: how far the two lie apart")
    check.add_argument("--json", type=Path, metavar="FILE", help="write the findings there too")
    check.set_defaults(run=_check)
    prepare = _parser(actions, "prepare", "write a clean parquet file: our columns, splits, no copies, no bad rows")
    prepare.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="a .parquet file that is not there yet"
    )
    prepare.add_argument(
        "--validation", type=float, default=0.1, metavar="F", help="share where no row has that split (0.1)"
    )
    prepare.add_argument("--test", type=float, default=0.1, metavar="F", help="likewise (0.1)")
    prepare.add_argument("--no-cleaning", action="store_true", help="keep source markers, bylines and links")
    prepare.add_argument("--skip-bad-rows", action="store_true", help="leave out rows that do not fit")
    prepare.set_defaults(run=_prepare)
    for parser in (check, prepare, feedback.add(actions)):
        parser.add_argument(
            "--keep-near-duplicates",
            action="store_true",
            help="of articles across splits compare only whether they are wholly the same (faster)",
        )


def _parser(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_EXAMPLES + "\n" + schema_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=[task.value for task in Task], help="whose schema it must fit")
    parser.add_argument("--data", required=True, metavar="PATH", help=DATA_HELP)
    parser.add_argument("--encoding", default="", metavar="NAME", help=ENCODING_HELP)
    parser.add_argument("--columns", default="", metavar="OURS=THEIRS,...", help="where columns have other names")
    parser.add_argument("--labels", default="", metavar="NAME,...", help=LABELS_HELP)
    return parser


def _check(options: argparse.Namespace) -> int:
    from training.data.drift import measure_drift
    from training.data.report import as_json, as_text
    from training.data.statistics import gather

    task, policy = Task(options.task), _policy(options)
    if options.json:
        check_file(options.json, "--json")
    with going_on("nothing is found yet: the same command begins anew"):
        found = gather(options.data, task, policy)
        other = gather(options.against, task, replace(policy, near_copies=False)) if options.against else None
    # From the older collection to this one.
    drift = measure_drift(other, found) if other else None
    if options.json:
        write_whole(options.json, json.dumps(as_json(task, found, drift), indent=2) + "\n")
    print(as_text(options.data, task, found, drift))
    return 1 if found.bad or found.label_problem else 0


def _policy(options: argparse.Namespace) -> RowPolicy:
    """What the options that both commands have say of the rows.

    Raises:
        SettingError: One does not fit.
    """
    from training.data.policy import RowPolicy

    if fault := encoding_fault(options.encoding):
        raise SettingError(fault)
    return RowPolicy(
        encoding=options.encoding,
        columns=parse_columns(options.columns),
        labels=parse_list(options.labels),
        near_copies=not options.keep_near_duplicates,
    )


def _prepare(options: argparse.Namespace) -> int:
    from training.data.prepare import prepare_table

    check_file(options.out)
    policy = replace(_policy(options), validation=options.validation, test=options.test, clean=not options.no_cleaning)
    with going_on(f"{options.out} is not written: the same command begins anew"):
        counts = prepare_table(
            options.data, Task(options.task), options.out, policy, skip_bad_rows=options.skip_bad_rows
        )
    for name in ("read", *sorted(name for name in counts if name != "read")):
        print(f"{counts[name]:>10,}  {name}")
    print(options.out)
    return 0
