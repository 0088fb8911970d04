"""``python -m benchmarks feedback``: what feedback costs an answer, and how soon quality is told."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from benchmarks.common.articles import read_article
from benchmarks.common.machine import this_machine
from benchmarks.common.server import RESULTS, ROOT

from .config import FeedbackConfig

EPILOG = """\
Fills a SQLite store with made-up feedback (a few minutes for a million predictions), then asks two servers in turn, one
with that store and one without feedback, and reads /v1/quality and, in Chromium, the quality page. Nothing else should
run on the machine.

examples:
  python -m benchmarks feedback                                          a million predictions, 100,000 ratings
  python -m benchmarks feedback --predictions 1000 --ratings 100 --rounds 3   does it run?

The last line of the output is one JSON document whose keys carry their units.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``feedback``."""
    defaults = FeedbackConfig()
    parser = commands.add_parser("feedback", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--predictions", type=int, default=defaults.predictions, help="in the store (default: %(default)s)")
    add("--ratings", type=int, default=defaults.ratings, help="in the store (default: %(default)s)")
    add("--rounds", type=int, default=defaults.rounds, help="turns of both servers (default: %(default)s)")
    add("--requests", type=int, default=defaults.requests, help="answers in a turn (default: %(default)s)")
    add(
        "--article",
        type=Path,
        metavar="FILE",
        default=ROOT / "tests" / "articles" / "world_news.txt",
        help="what is asked: a title line, a blank line, the text (default: %(default)s)",
    )
    add("--out", type=Path, default=RESULTS / "feedback", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    try:
        config = FeedbackConfig(
            predictions=args.predictions, ratings=args.ratings, rounds=args.rounds, requests=args.requests
        )
    except ValueError as error:
        parser.error(str(error))
    # Here, so that the help loads nothing of it.
    from .measurement import measure
    from .report import document, markdown, write_report

    found = measure(read_article(args.article), config)
    machine, day, command = this_machine(), date.today(), _command(config)
    paths = write_report(found, config, machine, day, command, args.out)
    print(markdown(found, config, machine, day, command))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(document(found, config, machine, day)))
    return 0


def _command(config: FeedbackConfig) -> str:
    usual = FeedbackConfig()
    words = [
        f"--{name} {getattr(config, name)}"
        for name in ("predictions", "ratings", "rounds", "requests")
        if getattr(config, name) != getattr(usual, name)
    ]
    return " ".join(["python -m benchmarks feedback", *words])
