"""``python -m benchmarks load``: latency at given rates, or the highest rate that holds a bound."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common.articles import (
    TIMEOUT_S,
    WARMUP_S,
    Articles,
    Mix,
    kinds,
    read_articles,
    read_settings,
    settings_of,
)
from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, BenchmarkError, Target, started_server
from benchmarks.load.closed_loop.locust_run import LocustConfig, LocustResult, run_locust
from infolens.contract import Task

if TYPE_CHECKING:
    from benchmarks.common.open_loop import Arrivals

    from .steps import Step

EPILOG = """\
Open loop: articles arrive at random moments at a given rate, whether or not earlier ones are answered, and a latency
counts from the moment when the article was due. It answers "what do people see when so many articles arrive". Locust
(`python -m benchmarks locust`) is a closed loop: a fixed number of users, each of whom waits for the answer. A server
that stalls stops such users too, so its worst moments are seen by few of their requests.

examples:
  python -m benchmarks load --find-max --p99-ms 500     the highest rate that is answered whole within the bound
  python -m benchmarks load --rate 30 --seconds 300     five minutes at one rate
  python -m benchmarks load --rate 10 --rate 20 --rate 40 --kind summary --mix popular
  python -m benchmarks load --rate 20 --server grpc://host:8001 --metrics-url http://host:8002/metrics
  python -m benchmarks load --rate 20 --articles mine.jsonl

A server that asks for keys gets the one in the environment variable INFOLENS_API_KEY.

exit codes: 0 measured (with --rate and --p99-ms: and every rate held the bound), 1 not possible, or a rate did not hold
it, 2 wrong usage
"""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``load``."""
    load = commands.add_parser(
        "load",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = load.add_mutually_exclusive_group(required=True)
    what.add_argument("--rate", type=float, action="append", metavar="R", help="arrivals a second; repeat for several")
    what.add_argument("--find-max", action="store_true", help="search the highest rate that holds --p99-ms")
    load.add_argument("--p99-ms", type=float, metavar="MS", help="the bound (default: 500)")
    load.add_argument(
        "--seconds", type=float, default=60.0, help="length of the measurement at each rate (default: %(default)g)"
    )
    load.add_argument("--kind", choices=kinds(), default=kinds()[0], help="what is asked (default: %(default)s)")
    add_sending(load)
    load.add_argument(
        "--locust-seconds",
        type=int,
        default=0,
        metavar="S",
        help="first let 16 users of Locust work for so many seconds; their report lies in DIR/locust",
    )
    load.add_argument(
        "--metrics-port", type=int, metavar="N", help="show what is sent and answered to Prometheus, on this port"
    )
    load.add_argument(
        "--out", type=Path, default=RESULTS / "load", metavar="DIR", help="gets the report (default: %(default)s)"
    )


def add_sending(parser: argparse.ArgumentParser) -> None:
    """Add what the commands that send a load have in common."""
    parser.add_argument("--server", metavar="URL", help="gRPC address of a running server; without it one is started")
    parser.add_argument("--metrics-url", metavar="URL", help="metrics of that server, for the breakdown by model")
    parser.add_argument(
        "--pid", type=int, metavar="N", help="process of its supervisor on this machine, for cores and memory"
    )
    parser.add_argument(
        "--warmup-s",
        type=float,
        default=WARMUP_S,
        help="seconds in which requests are sent and not counted (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout-s", type=float, default=TIMEOUT_S, help="time-out of each request (default: %(default)g)"
    )
    parser.add_argument(
        "--mix",
        choices=[mix.value for mix in Mix],
        default=Mix.NEW.value,
        help="new: no article comes twice; popular: few articles are most requests, for a cache (default: %(default)s)",
    )
    parser.add_argument("--articles", type=Path, metavar="FILE", help="send these: JSON lines, CSV or parquet")
    parser.add_argument("--words", type=int, metavar="N", help="every article has this length (default: real lengths)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the articles and arrivals (default: %(default)s)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a setting of the summary: {', '.join(settings_of(*Task))}",
    )
    parser.add_argument(
        "--serving",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option for the server that is started, such as --serving=--config-name=tuned",
    )


@contextlib.contextmanager
def target_of(args: argparse.Namespace) -> Iterator[Target]:
    """The server that the arguments name, or one that is started for it.

    Raises:
        BenchmarkError: It could not be started.
    """
    if args.server is not None:
        yield Target(grpc_url=args.server, metrics_url=args.metrics_url, pid=args.pid)
        return
    log.info("starting a server")
    with started_server(args.serving) as server:
        yield Target.of(server)


def articles_of(args: argparse.Namespace) -> tuple[Articles, str]:
    """The articles that the arguments ask for, and what they are in words.

    Raises:
        BenchmarkError: A file of articles cannot be read.
    """
    own = read_articles(args.articles) if args.articles else ()
    words = f"articles of {args.words} words" if args.words else "articles as long as real ones"
    told = f"{len(own)} articles of {args.articles.name}" if own else words
    return Articles(mix=Mix(args.mix), seed=args.seed, words=args.words, own=own), told


def arrivals_of(args: argparse.Namespace, *, rate_per_s: float, seconds: float, kind: str) -> Arrivals:
    """What is sent.

    Raises:
        ValueError: An argument is out of its range.
    """
    from benchmarks.common.open_loop import Arrivals

    return Arrivals(
        rate_per_s=rate_per_s,
        seconds=seconds,
        warmup_s=args.warmup_s,
        timeout_s=args.timeout_s,
        kind=kind,
        settings=read_settings(args.set, kind),
        seed=args.seed,
    )


def closed_loop_of(result: LocustResult, folder: Path) -> dict[str, Any]:
    """What the page in ``folder`` shows of a run of Locust, whose files lie below that folder; see `report.page`."""
    return {
        "html": result.html.relative_to(folder.resolve()).as_posix(),
        "figures": [one for one in result.figures if one.protocol],
    }


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from benchmarks.common.closed_loop import closed_loop_per_s
    from benchmarks.load.exposed import exposed

    from .report import Load, document, markdown, write_load
    from .steps import find_max, measure_rates, measure_step

    p99_ms = args.p99_ms or 500.0
    try:
        rates = args.rate or [1.0]
        arrivals = arrivals_of(args, rate_per_s=min(rates), seconds=args.seconds, kind=args.kind)
        if args.find_max and args.seconds < 5:
            raise ValueError(f"a search needs at least 5 s a rate, not {args.seconds:g}: raise --seconds")
        if args.locust_seconds and args.server:
            raise ValueError("--locust-seconds goes with a server that is started here: leave --server out")
        articles, told = articles_of(args)
    except ValueError as error:
        parser.error(str(error))
    args.out.mkdir(parents=True, exist_ok=True)
    locust = None
    with contextlib.ExitStack() as stack:
        if args.locust_seconds:
            log.info("closed loop: 16 users of Locust for %d s", args.locust_seconds)
            with started_server(args.serving) as server:
                config = LocustConfig(seconds=args.locust_seconds, out=args.out / "locust")
                result = run_locust(server.grpc_url, server.http_url, config)
            locust = closed_loop_of(result, args.out)
        target = stack.enter_context(target_of(args))
        watcher = stack.enter_context(exposed(args.metrics_port))
        if args.find_max:
            guess = closed_loop_per_s(target.grpc_url, articles, kind=args.kind)
            if not guess:
                raise BenchmarkError("the server answered nothing: look at its log, or try `infolens status`")
            log.info("about %.0f requests/s with 16 in flight; now open loop, %g s a rate", guess, args.seconds)

            def measure(rate_per_s: float) -> Step:
                return measure_step(target, articles, replace(arrivals, rate_per_s=rate_per_s), watcher)

            best, steps = find_max(measure, p99_ms=p99_ms, guess_per_s=guess)
        else:
            steps = measure_rates(target, articles, arrivals, rates, watcher)
            best = max((s.run.arrivals.rate_per_s for s in steps if s.run.holds(p99_ms)), default=0.0)
    load = Load(
        steps=tuple(steps),
        p99_ms=p99_ms,
        best_per_s=best,
        searched=args.find_max,
        mix=args.mix,
        articles=told,
        machine=this_machine(),
        day=date.today(),
    )
    command = command_line()
    paths = write_load(load, command, args.out, locust)
    print(markdown(load, command))
    print(f"open {paths[0]}", file=sys.stderr)
    print(json.dumps(document(load)))
    if args.rate and args.p99_ms:
        return 0 if all(step.run.holds(p99_ms) for step in steps) else 1
    return 0
