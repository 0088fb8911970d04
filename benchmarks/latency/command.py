"""``python -m benchmarks latency``: one request on an idle server, and many in flight."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common.articles import kinds, read_article, read_settings, settings_of
from benchmarks.common.server import ROOT, running_server
from infolens.contract import Task

from .config import LatencyConfig

EPILOG = """\
examples:
  python -m benchmarks latency                                  start a server, measure it, end it
  python -m benchmarks latency --server grpc://127.0.0.1:8001   measure one that runs
  python -m benchmarks latency --article story.txt --requests 1000 --set num_beams=4

The last line of the output is one JSON document whose keys carry their units.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``latency``."""
    latency = commands.add_parser(
        "latency",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = LatencyConfig()
    latency.add_argument("--server", metavar="URL", help="a running server; without it one is started on free ports")
    latency.add_argument(
        "--article",
        type=Path,
        metavar="FILE",
        default=ROOT / "tests" / "articles" / "world_news.txt",
        help="what is sent at one client: a title line, a blank line, the text (default: %(default)s)",
    )
    latency.add_argument(
        "--requests",
        type=int,
        default=defaults.requests,
        help="requests of each kind with one client (default: %(default)s)",
    )
    latency.add_argument(
        "--warmup-requests",
        type=int,
        default=defaults.warmup_requests,
        help="requests of each kind before them, which do not count (default: %(default)s)",
    )
    latency.add_argument(
        "--in-flight",
        type=int,
        default=defaults.in_flight,
        help="requests under way at any time in the second measurement (default: %(default)s)",
    )
    latency.add_argument(
        "--load-requests",
        type=int,
        default=defaults.load_requests,
        help="requests of the second measurement (default: %(default)s)",
    )
    latency.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a setting of the summary: {', '.join(settings_of(*Task))}",
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from infolens import Client

    from .measurement import measure_latency, measure_throughput, report

    try:
        config = LatencyConfig(
            requests=args.requests,
            warmup_requests=args.warmup_requests,
            in_flight=args.in_flight,
            load_requests=args.load_requests,
            settings=read_settings(args.set, kinds()[0]),
        )
    except ValueError as error:
        parser.error(str(error))
    article = read_article(args.article)
    with running_server(args.server) as url, Client(url) as client:
        print(f"measuring {url}", file=sys.stderr)
        timings = measure_latency(client, article, config)
        print("measuring with several requests in flight", file=sys.stderr)
        articles = [read_article(path) for path in sorted(args.article.parent.glob("*.txt"))]
        load = measure_throughput(client, articles or [article], config)
    table, document = report(timings, load, article)
    print(table)
    print(json.dumps(document))
    return 0
