"""``python -m benchmarks trace``: where the time of one request goes, from Triton's own trace."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.common.server import RESULTS, ROOT

WARMUP_REQUESTS: Final = 30


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``trace``."""
    trace = commands.add_parser(
        "trace",
        description="Starts a server that traces every request (OpenTelemetry), and sends it one article again and "
        "again. Writes trace.md, trace.json and trace.png; the last line of the output is the JSON document.",
        epilog="exit codes: 0 measured, 1 not possible, 2 wrong usage",
    )
    trace.add_argument(
        "--requests",
        type=int,
        default=200,
        metavar="N",
        help=f"after {WARMUP_REQUESTS} that do not count (default: %(default)s)",
    )
    trace.add_argument(
        "--article",
        type=Path,
        metavar="FILE",
        default=ROOT / "tests" / "articles" / "world_news.txt",
        help="what is sent: a title line, a blank line, the text (default: %(default)s)",
    )
    trace.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=RESULTS / "trace",
        help="gets the table, the document and the picture (default: %(default)s)",
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Measure, write the three files and print the table and the document; returns the exit code.

    Raises:
        BenchmarkError: The article cannot be read, the server cannot be started, or its spans do not come.
        InfoLensError: The server does not answer.
    """
    # Here, so that the help loads nothing of it.
    from .tracing import document, markdown, measure_trace, write

    if args.requests < 1:
        parser.error(f"--requests is at least 1, not {args.requests}")
    traced = measure_trace(args.article, args.requests, warmup_requests=WARMUP_REQUESTS)
    doc = document(traced)
    paths = write(traced, args.out)
    print(markdown(doc))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(doc))
    return 0
