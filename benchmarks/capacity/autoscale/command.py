"""``python -m benchmarks autoscale``: the ScaledObject of the cluster against a day's load, without a cluster."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.capacity.command import read_file
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS

from .day import USUAL
from .scaled_object import COMMITTED

REPLICA_PER_S: Final = 35.0
"""Articles a second of one replica, measured: two cores, 99 of 100 within 500 ms (README.md)."""
COLD_START_S: Final = 20
MEASURED: Final = RESULTS / "capacity" / "capacity.json"

EPILOG = """\
Reads threshold, window, policies and fallback from the ScaledObject's own file, and lives a day with it, with fixed
numbers of replicas, and with a HorizontalPodAutoscaler on the CPU. Nothing is started or measured.

examples:
  python -m benchmarks autoscale                                        the committed numbers and day (2 minutes)
  python -m benchmarks autoscale --replica-per-s 180 --cold-start-s 90  other replicas, such as of 8 cores
  python -m benchmarks autoscale --day day.csv --out /tmp/mine          your load: the columns time, articles_per_s
  python -m benchmarks autoscale --scaled-object mine.yaml              other numbers

exit codes: 0 done, 1 not possible, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``autoscale``."""
    autoscale = commands.add_parser("autoscale", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    autoscale.add_argument("--day", type=Path, default=USUAL, metavar="FILE", help="the load (default: %(default)s)")
    autoscale.add_argument(
        "--scaled-object", type=Path, default=COMMITTED, metavar="FILE", help="the manifest (default: %(default)s)"
    )
    autoscale.add_argument(
        "--replica-per-s",
        type=float,
        default=REPLICA_PER_S,
        metavar="R",
        help="highest rate of one replica, 99 of 100 within 500 ms (default: %(default)g, measured on 2 cores)",
    )
    autoscale.add_argument(
        "--cold-start-s",
        type=int,
        default=COLD_START_S,
        metavar="S",
        help="from the decision until a new replica serves (default: %(default)d)",
    )
    autoscale.add_argument(
        "--measured",
        type=Path,
        default=MEASURED,
        metavar="FILE",
        help="a capacity.json: what an article costs (default: %(default)s)",
    )
    autoscale.add_argument(
        "--out", type=Path, default=RESULTS / "autoscale", metavar="DIR", help="gets the page (default: %(default)s)"
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if not 0 < args.replica_per_s < float("inf"):
        parser.error(f"--replica-per-s is a number of articles a second above 0, not {args.replica_per_s:g}")
    if not 0 <= args.cold_start_s <= 3600:
        parser.error(f"--cold-start-s lies between 0 and 3600, not {args.cold_start_s}")
    # Here, so that the help loads nothing of it.
    from benchmarks.capacity.deployed import check_fits, read_deployed_models

    from .comparison import compare
    from .day import read_day
    from .replica import make_replica
    from .report import document, markdown, write_autoscale
    from .scaled_object import read_scaled_object

    day, numbers = read_day(args.day), read_scaled_object(args.scaled_object)
    times, deployment = read_file(args.measured).times, read_deployed_models()
    check_fits(times, deployment)
    replica = make_replica(times, deployment, args.replica_per_s)
    found = compare(day, replica, numbers, cold_start_s=args.cold_start_s)
    command = command_line()
    paths = write_autoscale(found, command, args.out)
    print(markdown(found, command))
    print(f"open {paths[0]}", file=sys.stderr)
    print(json.dumps(document(found, command)))
    return 0
