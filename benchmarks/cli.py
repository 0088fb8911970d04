"""``python -m benchmarks``: measure a running server, or Info Lens beside its peers."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.common.machine import this_machine
from infolens import Client, InfoLensError
from infolens.contract import Task

from .capacity.command import add_capacity, run_capacity
from .common.articles import read_article
from .common.fixtures import SIZES, make_fixtures
from .common.server import RESULTS, ROOT, BenchmarkError, running_server
from .latency import LatencyConfig, measure_latency, measure_throughput, report
from .load.closed_loop.command import add_locust, run_locust_command
from .load.open_loop.command import add_load, run_load
from .load.overload.command import add_overload, run_overload
from .load.trace.command import add_trace, run_trace_command
from .load.tune.command import add_tune, run_tune
from .peers.run import LABELS, OURS, PeersConfig, measure

EPILOG = """\
examples:
  python -m benchmarks latency                                  start a server, measure it, end it
  python -m benchmarks latency --server grpc://127.0.0.1:8001   measure one that runs
  python -m benchmarks latency --article story.txt --requests 1000
  python -m benchmarks peers                                    Info Lens beside other engines, full size (20 minutes)
  python -m benchmarks peers --task category --engines infolens --engines openvino --rounds 9
  python -m benchmarks fixtures --out checkpoints/random        checkpoints of full size with random weights

The last line of the output of most commands is one JSON document whose keys carry their units.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Info Lens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_latency(commands)
    add_load(commands)
    add_locust(commands)
    add_overload(commands)
    add_tune(commands)
    add_capacity(commands)
    add_trace(commands)
    _add_peers(commands)
    fixtures = commands.add_parser(
        "fixtures", help="write a checkpoint of each task's architecture with random weights"
    )
    fixtures.add_argument("--out", type=Path, required=True, metavar="DIR", help="holds <model>-<size> afterwards")
    _add_size(fixtures)
    _add_task(fixtures)
    return parser


def _add_latency(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    latency.add_argument(
        "--requests",
        type=int,
        default=defaults.requests,
        help="requests of each kind with one client (default: %(default)s)",
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


def _add_peers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    defaults = PeersConfig()
    peers = commands.add_parser(
        "peers",
        help="the same work through transformers, optimum, CTranslate2, OpenVINO and Info Lens, in turn",
        description="The peers get an environment of their own in .cache/peers (about 2 GB, made at the first run).",
        epilog="exit codes: 0 measured (a peer that cannot be set up is in the table with its reason), 1 Info Lens "
        "itself could not be measured, 2 wrong usage",
    )
    _add_task(peers)
    _add_size(peers)
    peers.add_argument(
        "--engines",
        action="append",
        choices=list(LABELS),
        help="repeat it for several (default: all; infolens is what ratios are taken against)",
    )
    peers.add_argument(
        "--fixtures", type=Path, metavar="DIR", default=defaults.fixtures, help="the checkpoints; made if missing"
    )
    peers.add_argument(
        "--batch",
        action="append",
        type=int,
        metavar="N",
        help="articles in one call; repeat it for several (default: 1 and 4, or 1 and 8, by architecture)",
    )
    peers.add_argument(
        "--rounds", type=int, default=defaults.rounds, help="turns of each engine (default: %(default)s)"
    )
    peers.add_argument(
        "--threads", type=int, default=defaults.threads, help="threads of each engine (default: %(default)s)"
    )
    peers.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=RESULTS / "peers",
        help="gets a table, a picture and a JSON document for each task (default: %(default)s)",
    )


def _add_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", choices=list(SIZES), default="full", help="small is for tests (default: %(default)s)")


def _add_task(parser: argparse.ArgumentParser) -> None:
    tasks = [task.value for task in Task]
    parser.add_argument("--task", action="append", choices=tasks, help="repeat it for several (default: all)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 measured, 1 not possible, 2 wrong usage."""
    parser = _parser()
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    run = {
        "latency": _latency,
        "load": run_load,
        "locust": run_locust_command,
        "overload": run_overload,
        "tune": run_tune,
        "capacity": run_capacity,
        "trace": run_trace_command,
        "peers": _peers,
        "fixtures": _fixtures,
    }[args.command]
    try:
        return run(parser, args)
    except (BenchmarkError, InfoLensError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _tasks(args: argparse.Namespace) -> tuple[Task, ...]:
    return tuple(Task(task) for task in dict.fromkeys(args.task)) if args.task else tuple(Task)


def _fixtures(_: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    for folder in make_fixtures(args.out, SIZES[args.size], _tasks(args)).values():
        size_bytes = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{folder}: {size_bytes / 1e6:.1f} MB")
    return 0


def _peers(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    # Here, so that other commands need no matplotlib.
    from .peers.report import document, markdown, write

    try:
        config = PeersConfig(
            tasks=_tasks(args),
            engines=tuple(dict.fromkeys(args.engines)) if args.engines else tuple(LABELS),
            size=args.size,
            fixtures=args.fixtures,
            batches=tuple(sorted(set(args.batch))) if args.batch else (),
            rounds=args.rounds,
            threads=args.threads,
        )
    except ValueError as error:
        parser.error(str(error))
    documents, failed = [], False
    for found in measure(config):
        documents.append(document(found, this_machine(), date.today()))
        paths = write(documents[-1], args.out)
        print(markdown(documents[-1], paths[2].name))
        print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
        failed |= any(engine.status == "failed" for engine in found.engines if engine.engine in OURS)
    print(json.dumps({"tasks": documents}))
    return 1 if failed else 0


def _latency(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    try:
        config = LatencyConfig(requests=args.requests, in_flight=args.in_flight, load_requests=args.load_requests)
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
