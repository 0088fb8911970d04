"""The command ``evaluate``."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from infolens import InvalidSettingError, SummaryOptions, Task
from training.errors import SettingError
from training.recipes.settings import parse_columns, parse_list
from training.stopping import going_on

from .options import DATA_HELP, ENCODING_HELP, LABELS_HELP, schema_help

_EXAMPLES: Final = """\
examples:
  make serve                            (start the server first, in another terminal)
  python -m training evaluate summary --data summary.parquet --out evaluation/summary
  python -m training evaluate summary --data summary.parquet --out evaluation/free \\
      --set style=free --compare evaluation/summary
  python -m training evaluate category --data unseen.parquet --baseline category.parquet --out evaluation/unseen
  python -m training evaluate veracity --data veracity.parquet --read summary --out evaluation/veracity_of_summaries
  python -m training promote category --evaluation evaluation/category

DIR then holds index.html (pictures), evaluation.json, scores.parquet (the score of each row, without texts), table.md
for a README, and answers.jsonl: what the server answered. A run that was cut off goes on with the same command.
"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate",
        help="score a model as it is served, on any table",
        description="Ask a running server about every test row of a table, as people would, and score its answers "
        "beside a baseline, with confidence intervals.",
        epilog=_EXAMPLES + "\n" + schema_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=[task.value for task in Task], help="whose answers")
    parser.add_argument("--data", required=True, nargs="+", metavar="PATH", help=DATA_HELP)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the report and the answers")
    parser.add_argument(
        "--server",
        default="http://127.0.0.1:8000",
        metavar="URL",
        help="http:// or grpc:// (default: %(default)s); where it says which revision answers, as what 'make serve' "
        "starts does, kept answers are used again; INFOLENS_API_KEY is the key of a server that wants one",
    )
    parser.add_argument(
        "--split",
        default="",
        choices=["train", "validation", "test", "all"],
        help="rows to ask about (default: test where the table names splits, else all)",
    )
    parser.add_argument(
        "--limit", type=int, default=0, metavar="N", help="at most N rows, always the same ones (default: 0, all)"
    )
    parser.add_argument(
        "--read",
        default="article",
        choices=["article", "summary"],
        help="what a classifier is given: the article, or its title and the summary that the server writes",
    )
    parser.add_argument(
        "--baseline",
        default="",
        metavar="PATH",
        help="learn TF-IDF from the training rows of this table (default: those of --data); 'none' leaves it out",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="DIR",
        help="an earlier evaluation: how much better this one is, row by row; they need 30 rows in common",
    )
    parser.add_argument("--by", default="", metavar="COLUMN,...", help="more columns of the table to group by")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"how summaries are written: {', '.join(field.name for field in fields(SummaryOptions))}",
    )
    parser.add_argument("--columns", default="", metavar="OURS=THEIRS,...", help="where columns have other names")
    parser.add_argument("--labels", default="", metavar="NAME,...", help=LABELS_HELP)
    parser.add_argument("--encoding", default="", metavar="NAME", help=ENCODING_HELP)
    parser.add_argument(
        "--clean",
        action="store_true",
        help="strip markers that leak the label first, as training does (default: ask with the text as it is)",
    )
    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="bootstrap draws (default: 1000)")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    for name, least in (("limit", 0), ("draws", 1)):
        if getattr(options, name) < least:
            raise SettingError(f"--{name} is {least} or more, not {getattr(options, name)}")
    from training.data.policy import RowPolicy
    from training.runs.evaluation.evaluate import Evaluation, evaluate
    from training.runs.evaluation.report import markdown

    with going_on(lambda: _kept(options)):
        document = evaluate(
            Evaluation(
                task=Task(options.task),
                data=tuple(options.data),
                server=options.server,
                out=options.out,
                split=options.split,
                limit=options.limit,
                read=options.read,
                baseline=options.baseline,
                by=parse_list(options.by),
                options=_summary_options(options.set),
                policy=RowPolicy(
                    columns=parse_columns(options.columns),
                    labels=parse_list(options.labels),
                    encoding=options.encoding,
                    clean=options.clean,
                ),
                draws=options.draws,
                compare=options.compare,
                command=shlex.join(["python", "-m", "training", *sys.argv[1:]]),
            )
        )
    print(markdown(document), end="")
    return 0


def _kept(options: argparse.Namespace) -> str:
    """How an evaluation that was interrupted goes on."""
    from training.runs.evaluation.answers import ANSWERS

    file = options.out / ANSWERS
    if file.exists() and not options.server.startswith("grpc"):
        return f"the answers so far are in {file}: the same command goes on from there"
    return "the same command begins anew"


def _summary_options(settings: list[str]) -> SummaryOptions | None:
    """The options of summaries from ``NAME=VALUE``.

    Raises:
        SettingError: A name is unknown or a value out of range.
    """
    known = [field.name for field in fields(SummaryOptions)]
    given: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            raise SettingError(f"--set {setting}: the settings of a summary are {', '.join(known)}")
        given[name] = _number_or_word(value)
    try:
        return SummaryOptions(**given) if given else None
    except InvalidSettingError as error:
        raise SettingError(f"--set: {error}") from error


def _number_or_word(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
