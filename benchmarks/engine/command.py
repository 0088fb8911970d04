"""``python -m benchmarks engine``: the engine with slots beside the one graph, on this machine's processor."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line
from benchmarks.common.server import RESULTS, ROOT

from .sizes import SIZES

if TYPE_CHECKING:
    from operators.library import Operators

    from .comparing import Compared
    from .models import Model

EPILOG = """\
Both sides run in this process, on as many threads, and are given the same articles in turn. Nothing else should run on
the machine.

examples:
  python -m benchmarks engine                                     the committed summarizer (5 minutes)
  python -m benchmarks engine --articles 16 --rounds 1 --out /tmp/try
                                                                  does all of it run? (half a minute)
  python -m benchmarks engine --size full                         BART large with random weights (5 minutes, 5 GB)
"""
log = logging.getLogger(__name__)


_STEP_TOKENS: Final = 60
"""Tokens of the summaries whose steps are measured one by one."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``engine``."""
    engine = commands.add_parser("engine", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = engine.add_argument
    add("--size", choices=list(SIZES), default="starter", help="the model (default: %(default)s, the committed one)")
    add(
        "--repository",
        type=Path,
        default=ROOT / "model_repository",
        metavar="DIR",
        help="whose summarizer is measured with --size starter (default: %(default)s)",
    )
    add("--articles", type=int, metavar="N", help="of a case (default: by size, 128 or 8)")
    add("--rounds", type=int, metavar="N", help="turns of each side (default: by size, 9 or 3)")
    add("--slots", type=int, metavar="N", help="of the engine, for each worker and number of beams (default: 4)")
    add("--workers", type=int, default=os.cpu_count(), help="threads of each side (default: %(default)s, all cores)")
    add("--out", type=Path, default=RESULTS / "engine", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code: 0 where both sides wrote the same summaries, else 1."""
    # Here, so that the help loads nothing of it.
    from operators.library import ensure_operators

    from .models import full, served
    from .report import Found, document, markdown, write_report
    from .stepping import Stepping

    size = SIZES[args.size]
    articles, rounds, slots = args.articles or size.articles, args.rounds or size.rounds, args.slots or size.slots
    for name, number in (("articles", articles), ("rounds", rounds), ("slots", slots), ("workers", args.workers)):
        if number < 1:
            parser.error(f"--{name} is 1 or more, not {number}")
    make: dict[str, Callable[[], Model]] = {
        "starter": lambda: served(args.repository, articles),
        "full": lambda: full(articles),
    }
    load_before, _, _ = os.getloadavg()
    model, native = make[args.size](), ensure_operators()
    with tempfile.TemporaryDirectory() as folder:
        stepping = Stepping(model.graph, model.artefact, native.path, model.typical, tokens=_STEP_TOKENS)
        log.info("steps")
        steps = stepping.times(size.steps, runs=size.step_runs)
        profiles = stepping.profiles(Path(folder), size.profiled_rows)
    found = Found(
        model=model.words,
        size=args.size,
        machine=this_machine(),
        load_before=load_before,
        day=date.today(),
        command=command_line(),
        operators=str(native),
        workers=args.workers,
        slots=slots,
        rounds=rounds,
        compared=tuple(_compared(model, native, args.workers, slots, rounds)),
        steps=tuple(steps),
        profiles=tuple(profiles),
    )
    paths = write_report(found, args.out)
    print(markdown(found, paths[-1].name))
    print(f"wrote {', '.join(map(str, paths))}", file=sys.stderr)
    print(json.dumps(document(found)))
    return 0 if all(one.same == len(one.case.articles) for one in found.compared) else 1


def _compared(model: Model, native: Operators, workers: int, slots: int, rounds: int) -> list[Compared]:
    from .comparing import LOOP, SLOTS, compare
    from .sides import LoopSide, SlotsSide

    pad = model.artefact.rules.pad_token
    loop = LoopSide(model.graph, operators=native.path, instances=workers, pad_token=pad)
    try:
        engine = SlotsSide(
            model.artefact,
            operators=native.path,
            workers=workers,
            slots=slots,
            beams=model.beams,
            source_length=model.source_length,
            target_length=model.target_length,
        )
        try:
            return compare(model.cases, {LOOP: loop, SLOTS: engine}, rounds=rounds)
        finally:
            engine.close()
    finally:
        loop.close()
