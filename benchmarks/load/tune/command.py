"""``python -m benchmarks tune``: the best numbers of a deployment for this machine, by measurement."""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common.articles import Articles
from benchmarks.common.machine import this_machine
from benchmarks.common.reports import command_line, write_json, write_text
from benchmarks.common.server import RESULTS, ROOT, started_server

from .knobs import TuneConfig, knobs

if TYPE_CHECKING:
    from .tuning import Tuned

EPILOG = """\
Instances, batches, threads, length buckets, queues: one setting after the other is tried on fresh servers, in turn with
the best so far, and another value is taken only when it is clearly better. The response cache stays off. The result is
a deployment file, and with --name the configurations <model>/configs/NAME.pbtxt beside the committed ones:

  python -m benchmarks tune --name tuned
  make serve ARGS="--config-name tuned"

exit codes: 0 measured, 1 not possible, 2 wrong usage
"""

log = logging.getLogger(__name__)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``tune``."""
    defaults = TuneConfig()
    cores = len(os.sched_getaffinity(0))
    command = commands.add_parser(
        "tune",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = command.add_argument
    names = [knob.name for knob in knobs(cores)]
    add("--knob", action="append", choices=names, help="try only this one; repeat it for several (default: all)")
    add("--seconds", type=float, default=defaults.seconds, help="length of each measurement (default: %(default)g)")
    add("--rounds", type=int, default=defaults.rounds, help="turns of each value (default: %(default)s)")
    add(
        "--bound-ms",
        type=float,
        default=defaults.bound_ms,
        help="an answer counts when it comes within it (default: %(default)g)",
    )
    add("--rate", type=float, default=0.0, metavar="R", help="arrivals a second (default: a third above the capacity)")
    add("--repository", type=Path, default=ROOT / "model_repository", metavar="DIR", help="default: %(default)s")
    add("--name", metavar="NAME", help="write <model>/configs/NAME.pbtxt for the best settings")
    add("--out", type=Path, default=RESULTS / "tune", metavar="DIR", help="gets the report (default: %(default)s)")


def run_command(parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    # Here, so that the help loads nothing of it.
    from benchmarks.common.closed_loop import closed_loop_per_s

    from .tuning import measure_goodput, to_toml, tune, write_configs

    try:
        config = TuneConfig(
            seconds=args.seconds, rounds=args.rounds, bound_ms=args.bound_ms, rate_per_s=max(0.0, args.rate)
        )
    except ValueError as error:
        parser.error(str(error))
    if not config.rate_per_s:
        with started_server(["--repository", str(args.repository)]) as server:
            can_per_s = closed_loop_per_s(server.grpc_url, Articles(seed=config.seed))
        config = replace(config, rate_per_s=can_per_s * 4 / 3)
        log.info("about %.0f answers/s with 16 in flight; %.0f a second arrive", can_per_s, config.rate_per_s)
    machine = this_machine()
    tried = [knob for knob in knobs(machine.cores) if not args.knob or knob.name in args.knob]
    found = tune(
        lambda overrides, turn: measure_goodput(args.repository, overrides, config, turn),
        tried,
        rounds=config.rounds,
        minimum_gain=config.minimum_gain,
    )
    document = {
        "date": date.today().isoformat(),
        "machine": asdict(machine),
        "config": asdict(config),
        "overrides": dict(found.overrides),
        "gain": found.gain,
        "trials": [{**asdict(trial), "score_per_s": trial.score} for trial in found.trials],
    }
    command = command_line()
    report = _markdown(found, config, str(machine), command)
    args.out.mkdir(parents=True, exist_ok=True)
    head = f"# Found by `{command}` on {machine}, {date.today().isoformat()}.\n"
    deployment = write_text(args.out / "tune.toml", head + to_toml(found.overrides))
    write_text(args.out / "tune.md", report)
    write_json(args.out / "tune.json", document)
    if args.name:
        write_configs(args.repository, deployment, args.name)
        log.info('serve it: make serve ARGS="--config-name %s"', args.name)
    print(report)
    print(json.dumps(document))
    return 0


def _markdown(found: Tuned, config: TuneConfig, machine: str, command: str) -> str:
    def words(value: Any) -> str:
        return "as it is" if value is None else f"`{json.dumps(value)}`"

    taken = ", ".join(f"`{name} = {json.dumps(value)}`" for name, value in found.overrides.items())
    finding = (
        f"{taken}: {100 * found.gain:+.0f} % answers in time against the committed settings."
        if taken
        else "The committed settings are the best that were tried."
    )
    rows = [
        f"| `{trial.knob}` | {words(trial.value)} | "
        + (trial.failure or f"{trial.score:.1f} | {', '.join(f'{value:.1f}' for value in trial.goodput_per_s)}")
        + " |"
        for trial in found.trials
    ]
    lines = [
        "# Tuning",
        "",
        f"**{finding}**",
        "",
        f"{machine}; {date.today().isoformat()}; `{command}`. {config.rate_per_s:.0f} articles a second arrive (more "
        f"than can be answered), {config.seconds:g} s a measurement on a fresh server; counted are answers within "
        f"{config.bound_ms:g} ms. Values of one setting take turns; another one is taken when it is "
        f"{100 * config.minimum_gain:.0f} % better than the best so far.",
        "",
        "| setting | value | answers in time, a second | by rounds |",
        "|---|---|---:|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"
