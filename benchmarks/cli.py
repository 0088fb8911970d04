"""``python -m benchmarks``: measure a running server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from infolens import Article, Client, InfoLensError

from .latency import LatencyConfig, measure_latency, measure_throughput, report
from .server import ROOT, BenchmarkError, running_server

EPILOG = """\
examples:
  python -m benchmarks latency                                  start a server, measure it, end it
  python -m benchmarks latency --server grpc://127.0.0.1:8001   measure one that runs
  python -m benchmarks latency --article story.txt --requests 1000

The last line of the output is one JSON document whose keys carry their units.
"""


def read_article(path: Path) -> Article:
    """An article from a file: a title line, a blank line, the text.

    Raises:
        BenchmarkError: the file cannot be read.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"cannot read the article {path}: {error}; give a UTF-8 text file with --article"
        ) from error
    title, blank, text = content.partition("\n\n")
    return Article(title=title, text=text) if blank else Article(text=content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Info Lens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    latency = commands.add_parser(
        "latency",
        help="latency at one client, and throughput with several requests in flight (closed loop)",
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
    latency.add_argument("--requests", type=int, default=defaults.requests, help="of each kind (default: %(default)s)")
    latency.add_argument(
        "--in-flight", type=int, default=defaults.in_flight, help="of the second measurement (default: %(default)s)"
    )
    latency.add_argument(
        "--load-requests",
        type=int,
        default=defaults.load_requests,
        help="of the second measurement (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 measured, 1 not possible, 2 wrong usage."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        config = LatencyConfig(requests=args.requests, in_flight=args.in_flight, load_requests=args.load_requests)
    except ValueError as error:
        parser.error(str(error))
    try:
        article = read_article(args.article)
        with running_server(args.server) as url, Client(url) as client:
            print(f"measuring {url}", file=sys.stderr)
            timings = measure_latency(client, article, config)
            print("measuring with several requests in flight", file=sys.stderr)
            articles = [read_article(path) for path in sorted(args.article.parent.glob("*.txt"))]
            load = measure_throughput(client, articles or [article], config)
    except (BenchmarkError, InfoLensError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table, document = report(timings, load, article)
    print(table)
    print(json.dumps(document))
    return 0
