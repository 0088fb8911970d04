"""The command ``data from-feedback``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infolens.contract import Task
from training.errors import SettingError
from training.recipes.settings import parse_list
from training.runs.output import check_file, write_whole
from training.stopping import going_on

if TYPE_CHECKING:
    from training.data.feedback.table import Learned

_SHOWN: Final = 10
_DESCRIPTION: Final = """\
Make a table to learn from of what people said of the server's answers. It takes ratings whose authors have consented,
of articles whose texts the server has kept (--feedback-texts). For a category or a veracity the answer is the right
label that people named; for a summary it is a better text that a person wrote, or a model's own with five stars.

Everybody has one voice about an article: the latest one, a blind audit before a volunteered rating. The column 'weight'
is what speaks for an answer less what speaks against it; 'fit' multiplies an article's part of the loss by it, so one
of weight 2 counts as one that stands there twice. An article stands there once (a summary: once with each good text),
in one split, by a hash of its words.
"""
_EXAMPLES: Final = """examples:
  python -m serving feedback export --format parquet --out ratings.parquet
  python -m training data from-feedback ratings.parquet --task category --out feedback.parquet
  python -m training data from-feedback spring.csv summer.jsonl --task summary --least-stars 4 --out texts.parquet
  python -m training fit category --data feedback.parquet --base checkpoints/category --out checkpoints/category_2

To learn from both, put feedback.parquet and the table of before into a folder, and name that with --data: rows of the
latter count 1. It needs a column 'split' too: 'python -m training data prepare' makes one where there is none. What a
person has erased on the server stands in no later export: make the table anew from one.
"""


def add(actions: Any) -> argparse.ArgumentParser:
    """Add the command to those of ``data``; returns its parser."""
    command: argparse.ArgumentParser = actions.add_parser(
        "from-feedback",
        help="make a table of what people said of the server's answers",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="exports of feedback: .csv, .jsonl, .parquet (also .gz), or SQLite",
    )
    command.add_argument("--task", required=True, choices=[task.value for task in Task], help="whose ratings are taken")
    command.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="a .parquet file that is not there yet"
    )
    command.add_argument(
        "--conflicts",
        choices=("majority", "drop"),
        default="majority",
        help="of articles about which people disagree take what more of them say (a tie is left out), or leave all of "
        "them out (default: majority)",
    )
    command.add_argument(
        "--audit-weight", type=float, default=2.0, metavar="W", help="what a blind audit counts; others count 1 (2)"
    )
    command.add_argument(
        "--least-stars", type=int, default=5, metavar="N", help="stars from which on a model's text is good (5)"
    )
    command.add_argument(
        "--labels",
        default="",
        metavar="NAME,...",
        help="the labels of the model; where there are two, an answer that was called wrong only means the other "
        "(default: the task's usual ones, where the ratings have no other)",
    )
    command.add_argument("--validation", type=float, default=0.1, metavar="F", help="share for validation (0.1)")
    command.add_argument("--test", type=float, default=0.1, metavar="F", help="share for testing (0.1)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write counts and conflicts there too")
    command.set_defaults(run=_run)
    return command


def _run(options: argparse.Namespace) -> int:
    from training.data.feedback.judging import Conflicts, Voices
    from training.data.feedback.table import Splitting, write_learned

    if not 0 < options.audit_weight <= 100:
        raise SettingError(f"--audit-weight is above 0 and at most 100, not {options.audit_weight:g}")
    if not 1 <= options.least_stars <= 5:
        raise SettingError(f"--least-stars is from 1 to 5, not {options.least_stars}")
    check_file(options.out)
    if options.json:
        check_file(options.json, "--json")
    voices = Voices(
        audit_weight=options.audit_weight,
        least_stars=options.least_stars,
        conflicts=Conflicts(options.conflicts),
        labels=parse_list(options.labels),
    )
    splitting = Splitting(
        validation=options.validation, test=options.test, near_copies=not options.keep_near_duplicates
    )
    with going_on(f"{options.out} is not written: the same command begins anew"):
        learned = write_learned(options.files, Task(options.task), options.out, voices, splitting)
    if options.json:
        write_whole(options.json, json.dumps(learned.document(), indent=2) + "\n")
    _tell(learned)
    print(options.out)
    return 0


def _tell(learned: Learned) -> None:
    for name in ("read", *sorted(name for name in learned.counts if name != "read")):
        print(f"{learned.counts[name]:>10,}  {name}")
    for conflict in learned.conflicts[:_SHOWN]:
        said = ", ".join(f"{what} {points:g}" for what, points in conflict.said.items())
        print(f"disagreement about {', '.join(conflict.predictions)}: {said}; became: {conflict.became}")
    if (more := len(learned.conflicts) - _SHOWN) > 0:
        print(f"and {more:,} more disagreements; --json FILE has all of them")
