"""``python -m benchmarks training-start``: how soon a training run is under way, and what it costs."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from benchmarks.common.machine import this_machine
from benchmarks.common.server import RESULTS

from .config import StartConfig

EPILOG = """\
Starts `python -m training fit` as a user does, on a small table of made-up articles, with and without Ray in turn, and
measures from outside: seconds to the first step and to the end, memory and CPU time of all its processes. Each run has
a new folder and its own MLflow database there. Nothing else should run on the machine.

examples:
  python -m benchmarks training-start                                    both ways, three times (5 minutes on 2 cores)
  python -m benchmarks training-start --workers 0 --rounds 1 --steps 2   does it run? (half a minute)
  python -m benchmarks training-start --against ../before                another checkout beside this one, in turn, with
                                                                         its own default of workers
exit codes: 0 measured, 1 not possible, or a run failed, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``training-start``."""
    defaults = StartConfig()
    start = commands.add_parser("training-start", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = start.add_argument
    add("--rounds", type=int, default=defaults.rounds, help="turns of each side (default: %(default)s)")
    add("--steps", type=int, default=defaults.steps, help="optimizer steps of a run (default: %(default)s)")
    add(
        "--workers",
        type=int,
        action="append",
        metavar="N",
        help="a side: 0 trains without Ray, 1 and more with it; repeat it for several (default: 0 and 1)",
    )
    add("--against", type=Path, metavar="DIR", help="another checkout of this repository, which is a side too")
    add(
        "--out",
        type=Path,
        default=RESULTS / "training_start",
        metavar="DIR",
        help="gets the report (default: %(default)s)",
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    try:
        config = StartConfig(
            rounds=args.rounds,
            steps=args.steps,
            workers=tuple(args.workers) if args.workers else StartConfig.workers,
            against=args.against and args.against.resolve(),
        )
    except ValueError as error:
        parser.error(str(error))
    # Here, so that the help loads nothing of it.
    from .measurement import compare
    from .report import document, markdown, write_report

    found = compare(config)
    machine, day, command = this_machine(), date.today(), _command(config)
    paths = write_report(found, machine, day, command, args.out)
    print(markdown(found, machine, day, command))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(document(found, machine, day)))
    return 0


def _command(config: StartConfig) -> str:
    """The command as the report has it: without the folders, which are a matter of the machine that it ran on."""
    words = [f"--rounds {config.rounds}"] if config.rounds != StartConfig.rounds else []
    words += [f"--steps {config.steps}"] if config.steps != StartConfig.steps else []
    words += [f"--workers {number}" for number in config.workers] if config.workers != StartConfig.workers else []
    words += [f"--against {config.against.name}"] if config.against else []
    return " ".join(["python -m benchmarks training-start", *words])
