"""``python -m benchmarks soak``: an hour under load, and whether the server at its end is the one of its beginning."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.common.articles import Articles
from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, Target, started_server

from .config import SoakConfig

if TYPE_CHECKING:
    from .windows import Soak

EPILOG = """\
A fixed number of users ask the same articles over all routes of the door (gRPC, HTTP and plain JSON; one article and
several; all tasks and single ones; health and metadata; what must be refused), each the next when the last was
answered. Then the last sixth of the time is held against the first one after the warm-up: a good server is as fast as
before, holds no more memory, was never restarted or healed, loses no answer, and gives each article the answers that it
gave in the beginning. Nothing else should run on the machine. The report is rewritten after every window; Ctrl-C ends
the run early, with a report over what there was.

examples:
  python -m benchmarks soak                                  an hour, on a server that is started for it
  python -m benchmarks soak --seconds 180 --out /tmp/soak    three minutes, to see what it does
  python -m benchmarks soak --seconds 28800 --users 16       a night
  python -m benchmarks soak --serving=--response-cache-mb=64
  python -m benchmarks soak --server grpc://127.0.0.1:8001 --http-url http://127.0.0.1:8000 \\
      --metrics-url http://127.0.0.1:8002/metrics --pid 4711      beside `make serve`

exit codes: 0 every rule was kept, 1 a rule was broken, the run was too short, or not possible, 2 wrong usage
"""
_DRAW_EVERY_S: Final = 50.0
"""At least between two pictures, each of which costs a second of CPU time. Windows may be shorter."""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``soak``."""
    defaults = SoakConfig()
    soak = commands.add_parser("soak", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = soak.add_argument
    add(
        "--seconds",
        type=float,
        default=defaults.seconds,
        help="time under load, warm-up and all (default: %(default)g)",
    )
    add(
        "--warmup-s",
        type=float,
        default=defaults.warmup_s,
        help="the beginning that is not compared; at most a quarter of the time (default: %(default)g)",
    )
    add(
        "--window-s",
        type=float,
        default=defaults.window_s,
        help="length of a window; at most a sixtieth of the time (default: %(default)g)",
    )
    add("--users", type=int, default=defaults.users, help="requests under way at any time (default: %(default)s)")
    add("--timeout-s", type=float, default=defaults.timeout_s, help="time-out of each request (default: %(default)g)")
    add("--seed", type=int, default=defaults.seed, help="seed of the articles (default: %(default)s)")
    add("--server", metavar="URL", help="gRPC address of a running server; without it one is started")
    add("--http-url", metavar="URL", help="HTTP address of that server")
    add("--metrics-url", metavar="URL", help="metrics of its door, for restarts and heals")
    add("--pid", type=int, metavar="N", help="process of its supervisor on this machine, for the memory")
    add("--serving", action="append", default=[], metavar="OPTION", help="an option for the server that is started")
    add("--out", type=Path, default=RESULTS / "soak", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from .report import document, markdown, write_soak
    from .soak import run_soak
    from .verdict import TOO_SHORT, held, judge

    try:
        config = SoakConfig(
            seconds=args.seconds,
            warmup_s=args.warmup_s,
            window_s=args.window_s,
            users=args.users,
            timeout_s=args.timeout_s,
            seed=args.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    if (args.server is None) != (args.http_url is None):
        parser.error("--server and --http-url go together: a soak asks over gRPC and over HTTP")
    if args.http_url is not None and not args.http_url.startswith(("http://", "https://")):
        parser.error(
            f"--http-url begins with http:// or https://, as http://127.0.0.1:8000 does, not {args.http_url!r}"
        )
    if args.server is None and (args.metrics_url or args.pid):
        parser.error("--metrics-url and --pid are those of the running server that --server names")
    machine, day, command = this_machine(), date.today(), command_line()
    drawn_s = -math.inf

    def each(soak: Soak) -> None:
        nonlocal drawn_s
        log.info("%s", progress(soak))
        now_s = time.monotonic()
        draw = now_s - drawn_s >= _DRAW_EVERY_S
        drawn_s = now_s if draw else drawn_s
        write_soak(soak, machine, day, command, args.out, draw=draw)

    with _target(args) as target:
        found = run_soak(target, Articles(seed=args.seed), config, each)
    paths = write_soak(found, machine, day, command, args.out)
    print(markdown(found, machine, day, command))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    findings = judge(found)
    for one in findings:
        if one.holds is False:
            print(f"broken: {one.rule}: {one.words}", file=sys.stderr)
    if found.first_and_last is None:
        print(f"not judged: {TOO_SHORT}", file=sys.stderr)
    told = document(found, machine, day)
    print(json.dumps({name: told[name] for name in told.keys() - {"windows", "processes"}}))  # those are in the file
    return 0 if held(found, findings) else 1


@contextlib.contextmanager
def _target(args: argparse.Namespace) -> Iterator[Target]:
    if args.server is not None:
        yield Target(grpc_url=args.server, http_url=args.http_url, door_metrics_url=args.metrics_url, pid=args.pid)
        return
    log.info("starting a server")
    with started_server(args.serving) as server:
        yield Target.of(server)


def progress(soak: Soak) -> str:
    """The latest window in a line."""
    one = soak.windows[-1]
    left_s = max(0, round(soak.config.seconds - one.end_s))
    parts = [
        f"{left_s // 60}:{left_s % 60:02d} left",
        f"{one.articles_per_s:.1f} articles/s",
        f"p99 {one.p99_ms:.0f} ms",
        *([f"memory {one.server.memory_bytes / 1e6:.0f} MB"] if one.server else []),
        f"{sum(window.lost for window in soak.windows)} lost",
    ]
    return f"{' | '.join(parts)}{' (warm-up)' if one.warm_up else ''}"
