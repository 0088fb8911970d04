"""``python -m benchmarks locust``: Locust's users, against a server that runs or one that is started for it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path

from benchmarks.common.articles import Mix
from benchmarks.common.machine import this_machine
from benchmarks.common.server import started_server

from .locust_run import GRPC_URL, HTTP_URL, USERS, LocustConfig, LocustResult, run_locust, run_page

DESCRIPTION = """\
Users of Locust ask an Info Lens server, over gRPC and HTTP, for all answers or for one.

It is a closed loop: a user sends its next request when the last one was answered, so a slow server is asked less
often. That answers "how many users can work at the same time, and what do they see". It does not answer "what do
users see at a given rate of arrivals", since readers do not wait for each other: that is `python -m benchmarks load`.
"""
EPILOG = """\
examples:
  python -m benchmarks locust                                       start a server; 16 users over gRPC for a minute
  python -m benchmarks locust --users InfoLensGRPC --users InfoLensHTTP --clients 32
  python -m benchmarks locust --mix popular                         as readers come: a few articles, again and again
  python -m benchmarks locust --server-grpc grpc://127.0.0.1:8001 --users CategoryGRPC
  python -m benchmarks locust --web                                 start, watch and stop 16 users in a browser
  python -m benchmarks locust --web --users SummaryHTTP             other ones; --class-picker lets the page choose

Figures begin when all users are at work, and the last requests are waited for. A failed request counts among the
requests; its time counts only when it got no answer in time, since a quick refusal is no quick answer. A refused user
asks again at once: with --think-s it waits, as people do. The users share the processor with a server on this machine.

The last line of the output is one JSON document whose keys carry their units; with --web there is none.
exit codes: 0 measured (failed requests are in the table), 1 not possible, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``locust``."""
    defaults = LocustConfig()
    parser = commands.add_parser(
        "locust",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--server-grpc",
        metavar="URL",
        help=f"a running server for gRPC users; without either address one is started on free ports (else {GRPC_URL})",
    )
    parser.add_argument("--server-http", metavar="URL", help=f"a running server for HTTP users (else {HTTP_URL})")
    parser.add_argument(
        "--users",
        action="append",
        choices=USERS,
        metavar="NAME",
        help=f"repeat it for several: {', '.join(USERS)} (default: {', '.join(defaults.users)})",
    )
    parser.add_argument(
        "--clients",
        type=int,
        default=defaults.clients,
        help="users at the same time, of all kinds (default: %(default)s)",
    )
    parser.add_argument(
        "--ramp-s", type=float, default=defaults.ramp_s, help="seconds until all are at work (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=int, default=defaults.seconds, help="how long all are at work (default: %(default)s)"
    )
    parser.add_argument(
        "--think-s",
        type=float,
        default=defaults.think_s,
        help="seconds that a user waits between an answer and its next request (default: %(default)s)",
    )
    parser.add_argument(
        "--mix",
        choices=[mix.value for mix in Mix],
        default=defaults.mix.value,
        help="new: no article comes twice, so no cache can help; popular: a few are most of the requests "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--articles",
        type=Path,
        metavar="FILE",
        help="articles of your own: .jsonl, .csv or .parquet with a column text and perhaps title",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=defaults.out,
        help="gets Locust's report and CSV (default: %(default)s)",
    )
    parser.add_argument(
        "--metrics-port", type=int, metavar="N", help="show what is sent and answered to Prometheus, on this port"
    )
    parser.add_argument(
        "--web", action="store_true", help="run Locust's own page until Ctrl-C, instead of a measurement"
    )
    parser.add_argument(
        "--class-picker",
        action="store_true",
        help="with --web: the page chooses among all kinds of users, at first all are ticked",
    )
    parser.add_argument(
        "--web-port", type=int, default=8089, metavar="PORT", help="port of the page (default: %(default)s)"
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command ``locust``; returns the exit code.

    Raises:
        BenchmarkError: The server could not be started or reached, or Locust could not do its work.
    """
    if args.class_picker and not args.web:
        parser.error("--class-picker lets Locust's page choose: add --web, or name users with --users")
    if args.class_picker and args.users:
        parser.error("--class-picker offers all kinds of users: leave it out for those of --users, or leave these out")
    try:
        config = LocustConfig(
            users=tuple(dict.fromkeys(args.users)) if args.users else LocustConfig().users,
            clients=args.clients,
            ramp_s=args.ramp_s,
            seconds=args.seconds,
            think_s=args.think_s,
            mix=Mix(args.mix),
            articles=args.articles,
            metrics_port=args.metrics_port,
            out=args.out,
        )
    except ValueError as error:
        parser.error(str(error))
    with _server(args.server_grpc, args.server_http) as (grpc_url, http_url):
        if args.web:
            kinds = "users as the page says" if args.class_picker else ", ".join(config.users)
            print(f"Locust's page: http://127.0.0.1:{args.web_port} ({kinds}); Ctrl-C ends it", file=sys.stderr)
            run_page(grpc_url, http_url, config, port=args.web_port, choose=args.class_picker)
            return 0
        result = run_locust(grpc_url, http_url, config)
    print(f"wrote {', '.join(map(str, (result.html, *result.csvs)))}", file=sys.stderr)
    print(markdown(result, config))
    print(json.dumps(document(result, config)))
    return 0


def markdown(result: LocustResult, config: LocustConfig) -> str:
    """A run as a table for people."""
    lines = [
        f"{this_machine()}; {config.clients} users in a closed loop for {config.seconds} s, {_sent(config)}",
        "",
        "| request | protocol | requests | failed | requests/s | p50 ms | p90 ms | p99 ms | p99.9 ms |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {one.name} | {one.protocol or 'all'} | {one.requests} | {one.failures} | {one.requests_per_s:.1f} "
            f"| {_times(one.p50_ms, one.p90_ms, one.p99_ms, one.p999_ms)} |"
            for one in result.figures
        ),
    ]
    if result.failures:
        lines += ["", "| failure | request | protocol | times |", "|---|---|---|---:|"]
        lines += [f"| {_cell(one.error)} | {one.name} | {one.protocol} | {one.count} |" for one in result.failures]
    return "\n".join(lines)


def document(result: LocustResult, config: LocustConfig) -> dict[str, object]:
    """A run as JSON for programs: no paths, times in milliseconds and seconds as their keys say."""
    return {
        "machine": asdict(this_machine()),
        "date": date.today().isoformat(),
        "users": list(config.users),
        "clients": config.clients,
        "ramp_s": config.ramp_s,
        "duration_s": config.seconds,
        "think_s": config.think_s,
        "mix": config.mix.value,
        "articles": None if config.articles is None else config.articles.name,
        "figures": [asdict(one) for one in result.figures],
        "failures": [asdict(one) for one in result.failures],
    }


@contextmanager
def _server(grpc_url: str | None, http_url: str | None) -> Iterator[tuple[str, str]]:
    if grpc_url is not None or http_url is not None:
        yield grpc_url or GRPC_URL, http_url or HTTP_URL
        return
    print("starting a server", file=sys.stderr)
    with started_server() as server:
        yield server.grpc_url, server.http_url


def _sent(config: LocustConfig) -> str:
    source = "composed articles" if config.articles is None else f"articles of {config.articles.name}"
    return f"{source}, mix {config.mix.value}"


def _times(*times_ms: float | None) -> str:
    return " | ".join("-" if time_ms is None else f"{time_ms:.0f}" for time_ms in times_ms)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
