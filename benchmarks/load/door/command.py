"""``python -m benchmarks door``: what the front door adds to a request, and what it takes of the highest rate."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import date
from pathlib import Path

from benchmarks.common.articles import read_article
from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, ROOT, started_server

from .config import DoorConfig

EPILOG = """\
A server is started, and asked through its door and past it, in turn: one client over gRPC, HTTP and in plain JSON; a
closed loop; an open loop that asks for more than can be answered; and many articles by one program. Nothing else should
run on the machine.

examples:
  python -m benchmarks door                                  all of it (18 minutes)
  python -m benchmarks door --open-turns 0 --batch-turns 0   one client and the closed loop (6 minutes)
"""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``door``."""
    defaults = DoorConfig()
    door = commands.add_parser("door", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = door.add_argument
    add("--rounds", type=int, default=defaults.rounds, help="turns (default: %(default)s)")
    add("--requests", type=int, default=defaults.requests, help="of one client in a turn (default: %(default)s)")
    add("--open-turns", type=int, default=defaults.open_turns, help="of the open loop (default: %(default)s)")
    add("--seconds", type=float, default=defaults.seconds, help="of a turn of the open loop (default: %(default)g)")
    add("--bound-ms", type=float, default=defaults.bound_ms, help="later answers do not count (default: %(default)g)")
    add("--batch-turns", type=int, default=defaults.batch_turns, help="of many articles (default: %(default)s)")
    add("--batch-articles", type=int, default=defaults.batch_articles, help="articles in one (default: %(default)s)")
    add("--seed", type=int, default=defaults.seed, help="seed of articles and arrivals (default: %(default)s)")
    add("--serving", action="append", default=[], metavar="OPTION", help="an option for the server that is started")
    add("--out", type=Path, default=RESULTS / "door", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from .comparing import compare
    from .report import document, markdown, write_comparison

    try:
        config = DoorConfig(
            rounds=args.rounds,
            requests=args.requests,
            open_turns=args.open_turns,
            seconds=args.seconds,
            bound_ms=args.bound_ms,
            batch_turns=args.batch_turns,
            batch_articles=args.batch_articles,
            seed=args.seed,
        )
    except ValueError as error:
        parser.error(str(error))
    article = read_article(ROOT / "tests" / "articles" / "world_news.txt")
    log.info("starting a server")
    with started_server(args.serving) as server:
        found = compare(server, article, config)
    machine, day, command = this_machine(), date.today(), command_line()
    paths = write_comparison(found, machine, day, command, args.out)
    print(markdown(found, machine, day, command))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(document(found, machine, day)))
    return 0
