"""``python -m benchmarks overload``: several times more than the server can answer, and what becomes of it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import date
from pathlib import Path

from benchmarks.common.articles import Articles
from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, Target, started_server

from .config import OverloadConfig

EPILOG = """\
A server is started, its own pace is measured, then three times as many requests arrive, a tenth of them from callers
who go away. A good server refuses what it cannot answer in time at once, goes on answering as much as it can, keeps
its memory, and is back as soon as the load is.

exit codes: 0 measured, 1 not possible, 2 wrong usage
"""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``overload``."""
    defaults = OverloadConfig()
    overload = commands.add_parser(
        "overload",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = overload.add_argument
    add(
        "--times",
        type=float,
        default=defaults.times,
        help="how many times as much as it can answer arrives (default: %(default)g)",
    )
    add("--seconds", type=float, default=defaults.seconds, help="length of the overload (default: %(default)g)")
    add(
        "--calm-s",
        type=float,
        default=defaults.calm_s,
        help="seconds of calm before and after it (default: %(default)g)",
    )
    add("--timeout-s", type=float, default=defaults.timeout_s, help="time-out of each request (default: %(default)g)")
    add("--leaving", type=float, default=defaults.leaving, help="share of callers who go away (default: %(default)g)")
    add("--seed", type=int, default=defaults.seed, help="seed of the articles and arrivals (default: %(default)s)")
    add("--serving", action="append", default=[], metavar="OPTION", help="an option for the server that is started")
    add("--out", type=Path, default=RESULTS / "overload", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from .overload import measure_overload
    from .report import document, markdown, write_overload

    try:
        config = OverloadConfig(
            times=args.times,
            seconds=args.seconds,
            calm_s=args.calm_s,
            timeout_s=args.timeout_s,
            leaving=args.leaving,
            seed=args.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    log.info("starting a server")
    with started_server(args.serving) as server:
        found = measure_overload(Target.of(server), Articles(seed=args.seed), config)
    machine, day, command = this_machine(), date.today(), command_line()
    paths = write_overload(found, machine, day, command, args.out)
    print(markdown(found, machine, day, command))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(document(found, machine, day)))
    return 0
