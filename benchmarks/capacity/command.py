"""``python -m benchmarks capacity``: how cost grows, and how many machines a rate and a bound need."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, BenchmarkError

from .wanted import HEAD_ROOM, WANTED_PER_S

if TYPE_CHECKING:
    from .data import Measured

EPILOG = """\
Measures CPU time by stage and length, throughput by length, beams, summary length and cores (a server pinned to one
core, and one with all of them), then simulates servers of 1 to 32 cores and says how many replicas a rate needs.

examples:
  python -m benchmarks capacity                                        measure, simulate, write the page (6 minutes)
  python -m benchmarks capacity --wanted 30 --wanted 300               other rows in the table of replicas
  python -m benchmarks capacity --measured benchmarks/results/capacity/capacity.json
                                                                       simulate anew what was measured before, such as
                                                                       after a change of instances or max_running
  python -m benchmarks capacity --replica-per-s 41 --wanted 200        replicas of a measured rate, on any machine or
                                                                       GPU; nothing is measured (find the rate there
                                                                       with `python -m benchmarks load --find-max`)

  python -m benchmarks capacity --gpu benchmarks/results/gpu/CARD.json --wanted 300
                                                                       cards, from what `python -m benchmarks gpu`
                                                                       measured on one; nothing else is measured
  python -m benchmarks capacity --gpu-floor L4                         the fewest that could do, by a data sheet: no
                                                                       program reaches it, and the page says so

exit codes: 0 done, 1 not possible, 2 wrong usage
"""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``capacity``."""
    capacity = commands.add_parser(
        "capacity",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = capacity.add_mutually_exclusive_group()
    source.add_argument(
        "--replica-per-s", type=float, metavar="R", help="only the table, for replicas of this highest rate"
    )
    source.add_argument(
        "--measured", type=Path, metavar="FILE", help="a capacity.json of before: simulate, measure nothing"
    )
    source.add_argument("--gpu", type=Path, metavar="FILE", help="cards: a JSON document of `python -m benchmarks gpu`")
    source.add_argument(
        "--gpu-floor", metavar="CARD", help="cards at the limits of a data sheet: T4, L4, L40S, A100, H100 or H200"
    )
    capacity.add_argument(
        "--slots", type=int, default=32, help="with --gpu: articles that share a step (default: %(default)d)"
    )
    capacity.add_argument(
        "--cores", type=int, default=16, help="with --gpu: of the machine around the card (default: %(default)d)"
    )
    capacity.add_argument(
        "--beside",
        type=Path,
        default=RESULTS / "capacity" / "capacity.json",
        metavar="FILE",
        help="with --gpu: what was measured of the stages that are not on the card (default: %(default)s)",
    )
    capacity.add_argument(
        "--wanted",
        type=float,
        action="append",
        metavar="R",
        help=f"articles a second; repeat for several (default: {', '.join(f'{rate:g}' for rate in WANTED_PER_S)})",
    )
    capacity.add_argument(
        "--seconds", type=float, default=7.0, help="length of the measurement of each point (default: %(default)g)"
    )
    capacity.add_argument(
        "--out", type=Path, default=RESULTS / "capacity", metavar="DIR", help="gets the page (default: %(default)s)"
    )


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from .deployed import read_deployed_models
    from .plan import make_plan, replicas_document
    from .report import document, markdown, replicas_markdown, write_capacity

    wanted = tuple(sorted(set(args.wanted or WANTED_PER_S)))
    for name, value in (("--wanted", min(wanted)), ("--replica-per-s", args.replica_per_s)):
        if value is not None and not 0 < value < float("inf"):
            parser.error(f"{name} is a number of articles a second above 0, not {value:g}")
    if not 1 <= args.seconds <= 600:
        parser.error(f"--seconds lies between 1 and 600, not {args.seconds:g}: a point of 7 is enough for most uses")
    if args.replica_per_s is not None:
        print(replicas_markdown(args.replica_per_s, wanted))
        rows = replicas_document(args.replica_per_s, wanted)
        print(json.dumps({"replica_per_s": args.replica_per_s, "head_room": HEAD_ROOM, "rows": rows}))
        return 0
    if args.gpu is not None or args.gpu_floor is not None:
        return _cards(parser, args, wanted)
    deployment = read_deployed_models()
    if args.measured is not None:
        measured = read_file(args.measured)
    else:
        from .growth import measure

        measured = measure(args.seconds)
        if max(measured.others_cores) > 0.1:
            log.warning(
                "other processes took up to %.2f cores meanwhile: times are too long and rates too low; measure again "
                "when the machine is quiet", max(measured.others_cores),
            )  # fmt: skip
    plan = make_plan(measured, deployment)
    command = command_line()
    paths = write_capacity(measured, plan, wanted, command, args.out)
    print(markdown(measured, plan, wanted, command))
    print(f"open {paths[0]}", file=sys.stderr)
    print(json.dumps(document(measured, plan, wanted, command)))
    return 0


def _cards(parser: argparse.ArgumentParser, args: argparse.Namespace, wanted: tuple[float, ...]) -> int:
    from .gpu.plan import CardDeployment, card_document, plan_card
    from .gpu.report import card_markdown, write_card
    from .gpu.times import DATA_SHEETS, floor_card, read_card

    for name, value in (("--slots", args.slots), ("--cores", args.cores)):
        if not 1 <= value <= 1024:
            parser.error(f"{name} is a whole number from 1 to 1024, not {value}")
    if args.gpu is not None:
        card = read_card(read_json(args.gpu, "a JSON document of `python -m benchmarks gpu` with --gpu"), str(args.gpu))
    elif args.gpu_floor in DATA_SHEETS:
        card = floor_card(args.gpu_floor)
    else:
        parser.error(f"--gpu-floor is one of {', '.join(DATA_SHEETS)}, not {args.gpu_floor}: measure others with --gpu")
    beside = read_file(args.beside)
    deployment = CardDeployment(slots=args.slots, cores=args.cores)
    plan = plan_card(beside.times, card, deployment)
    command = command_line()
    page = card_markdown(card, deployment, plan, wanted, beside.machine, command)
    document = card_document(card, deployment, plan, wanted, command)
    paths = write_card(page, document, args.out)
    print(page)
    print(f"open {paths[0]}", file=sys.stderr)
    print(json.dumps(document))
    return 0


def read_file(path: Path) -> Measured:
    """Read a capacity.json.

    Raises:
        BenchmarkError: It cannot be read, or is none.
    """
    from .data import read_measured

    content = read_json(path, "a capacity.json with --measured")
    return read_measured(content.get("measured", content))


def read_json(path: Path, wanted: str) -> dict[str, Any]:
    """Read a measurement.

    Args:
        path: The file.
        wanted: What it should be, and the option that names it.

    Raises:
        BenchmarkError: It cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"cannot read the measurement {path}: {error}; give {wanted}") from error
    return content if isinstance(content, dict) else {}
