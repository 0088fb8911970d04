"""``python -m benchmarks peers``: Info Lens beside other engines."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from benchmarks.common.fixtures import add_size, add_task, tasks_of
from benchmarks.common.machine import this_machine
from benchmarks.common.server import RESULTS

from .config import LABELS, OURS, PeersConfig


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``peers``."""
    defaults = PeersConfig()
    peers = commands.add_parser(
        "peers",
        description="The peers get an environment of their own in .cache/peers (about 2 GB, made at the first run).",
        epilog="exit codes: 0 measured (a peer that cannot be set up is in the table with its reason), 1 Info Lens "
        "itself could not be measured, 2 wrong usage",
    )
    add_task(peers)
    add_size(peers)
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


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from .report import document, markdown, write
    from .run import measure

    try:
        config = PeersConfig(
            tasks=tasks_of(args),
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
