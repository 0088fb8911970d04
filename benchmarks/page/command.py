"""``python -m benchmarks page``: the page in a real browser, beside the API."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common.articles import read_article
from benchmarks.common.machine import this_machine
from benchmarks.common.server import ROOT, BenchmarkError, started_server

from .measurement import measure, report

EPILOG = """\
Each round loads the page in a fresh browser without a cache, pastes an article, and asks; then the same three questions
go to the API without a browser. It needs Chromium (Debian: apt-get install chromium).

The last line of the output is one JSON document whose keys carry their units.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``page``."""
    page = commands.add_parser("page", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    page.add_argument("--server", metavar="URL", help="the HTTP address of a running server; without it one is started")
    page.add_argument(
        "--article",
        type=Path,
        metavar="FILE",
        default=ROOT / "tests" / "articles" / "world_news.txt",
        help="what is asked: a title line, a blank line, the text (default: %(default)s)",
    )
    page.add_argument("--rounds", type=int, default=15, help="how often each is measured (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if args.rounds < 1:
        parser.error(f"--rounds is 1 or more, not {args.rounds}")
    article = read_article(args.article)
    if args.server is not None and not args.server.startswith(("http://", "https://")):
        raise BenchmarkError(
            f"--server is the HTTP address of the page, such as http://127.0.0.1:8000, not {args.server}"
        )
    if args.server is not None:
        timings = measure(args.server.rstrip("/"), article, rounds=args.rounds)
    else:
        # No answer of it is withheld for a blind audit.
        with started_server(["--audit-share", "0"]) as server:
            print(f"measuring {server.http_url}", file=sys.stderr)
            timings = measure(server.http_url, article, rounds=args.rounds)
    table, document = report(timings)
    print(f"{this_machine()}\n\n{table}")
    print(json.dumps({"machine": str(this_machine()), **document}))
    return 0
