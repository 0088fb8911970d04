"""The commands ``promote`` and ``report``."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task
from training.errors import SettingError

from .options import add_tracking_options, tracking_from

_PROMOTE: Final = """\
examples:
  what would happen, and why each version is or is not good enough:
    python -m training promote category --dry-run
  the best version, where 0.8 is the bar instead of the baseline:
    python -m training promote category --at-least 0.8
  judge one version, and only that one:
    python -m training promote category --version 3
  back to the champion before this one, or to any version, without a comparison:
    python -m training promote category --back
    python -m training promote category --back --version 3

Judged are the versions that were tested on the same articles as the newest; the best of those that pass becomes the
champion. It passes if it reaches its baseline on those articles (TF-IDF with logistic regression; for summaries the
article's first sentence) and beats the champion by the margin. Versions whose run failed, was stopped or was deleted
are left out. The aliases in the registry: 'challenger' is the newest version that was recorded, 'champion' the
one that was promoted, 'previous' the champion before it. The tags promoted_at, promoted_because and promoted_by of a
version say when, why and by whom. The exit code is 0 if a version was promoted (in a dry run: would be), 1 if not.
"""
_REPORT: Final = """\
examples:
  python -m training report                                  (a Markdown page to read or to paste)
  python -m training report category --out report/category   (index.html, with a picture, and report.md)
"""
_NOT_BACK: Final = ("margin", "at_least", "data", "evaluation", "against")


def add(commands: Any) -> None:
    """Add the commands."""
    _add_promote(commands)
    _add_report(commands)


def _add_promote(commands: Any) -> None:
    promote = commands.add_parser(
        "promote",
        help="make the best version the champion, if it is good enough",
        description="Move the alias 'champion' of a task's registered model to the best version, if that reaches its "
        "baseline and beats the champion on the same frozen test articles. Prints a table that says why.",
        epilog=_PROMOTE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    promote.add_argument("task", choices=[task.value for task in Task])
    promote.add_argument(
        "--version", type=int, metavar="N", help="judge this version of the registered model, and no other"
    )
    promote.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="how much better than the champion: macro-F1 from 0 to 1 (default 0.002), or ROUGE-Lsum from 0 to 100 "
        "(default 0.2); below zero lets a slightly worse one in",
    )
    promote.add_argument(
        "--at-least",
        type=float,
        metavar="X",
        help="the bar, in the same units, instead of the baseline on the same test articles",
    )
    promote.add_argument(
        "--back",
        action="store_true",
        help="go back to the alias 'previous', or to --version N: nothing is compared, so no bar and no margin hold",
    )
    promote.add_argument(
        "--data",
        default="",
        metavar="PATH",
        help="measure the best version (or --version N), the champion and the baseline anew on the test split of this "
        "data; needed when the two were tested on different articles. The baseline learns from its training split; "
        "where it has none, that check is left out and the table says so",
    )
    promote.add_argument(
        "--evaluation",
        type=Path,
        metavar="PATH",
        help="the served evaluation (folder or JSON document of 'evaluate') of the newest version, or of --version N, "
        "which alone is judged then: as both are served, it must be no worse than the champion on the same rows; kept "
        "with the run for the next time",
    )
    promote.add_argument(
        "--against",
        type=Path,
        metavar="PATH",
        help="the champion's served evaluation (default: the one that it was promoted with)",
    )
    promote.add_argument("--dry-run", action="store_true", help="show what would happen, and change nothing")
    promote.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    add_tracking_options(promote, ray=False)
    promote.set_defaults(run=_promote)


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report",
        help="what an experiment came to: runs, figures, costs, the registry",
        description="Tell of the runs of an MLflow experiment: the best ones and the settings that they differ in, "
        "test figures beside baselines, the data, what it cost, what failed, and who is the champion.",
        epilog=_REPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument("task", nargs="?", choices=[task.value for task in Task], help="only this task (default: all)")
    report.add_argument(
        "--out", type=Path, metavar="DIR", help="write index.html and report.md there (default: print the latter)"
    )
    add_tracking_options(report, ray=False)
    report.set_defaults(run=_report)


def _promote(options: argparse.Namespace) -> int:
    for name in ("margin", "at_least"):
        if not math.isfinite(getattr(options, name) or 0.0):
            raise SettingError(f"--{name.replace('_', '-')} is a number, not {getattr(options, name)}")
    tracking = tracking_from(options)
    if options.back:
        from training.runs.promotion.back import go_back

        for name in _NOT_BACK:
            if getattr(options, name) not in (None, ""):
                raise SettingError(f"--back compares nothing: leave --{name.replace('_', '-')} out, or --back")
        verdict = go_back(Task(options.task), tracking, version=options.version, dry_run=options.dry_run)
    else:
        from training.runs.registry import Terms, promote

        terms = Terms(
            margin=options.margin,
            at_least=options.at_least,
            version=options.version,
            data=options.data,
            evaluation=options.evaluation,
            against=options.against,
            dry_run=options.dry_run,
        )
        verdict = promote(Task(options.task), tracking, terms)
    print(json.dumps(verdict.as_document(), indent=1) if options.json else verdict.as_text())
    if verdict.promoted and not options.dry_run and not options.json:
        export = f"python -m export {options.task} --checkpoint models:/{options.task}@champion{tracking.option}"
        print(f"served is still what was exported; next: {export}")
    return 0 if verdict.promoted else 1


def _report(options: argparse.Namespace) -> int:
    from training.runs.experiment.page import write_pages
    from training.runs.experiment.report import markdown
    from training.runs.experiment.tell import tell

    told = tell(tracking_from(options), tasks=(Task(options.task),) if options.task else tuple(Task))
    if options.out is None:
        print(markdown(told), end="")
        return 0
    for file in write_pages(told, options.out):
        print(file)
    return 0
