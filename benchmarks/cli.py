"""``python -m benchmarks``: measure a running server, Info Lens beside its peers, or a GPU.

A command's module is imported when the command is called, and imports what it measures with when it runs: each needs
only what it uses itself, and its help is there at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final

from .common.server import BenchmarkError

EPILOG = """\
examples:
  python -m benchmarks latency                                  start a server, measure it, end it
  python -m benchmarks latency --server grpc://127.0.0.1:8001   measure one that runs
  python -m benchmarks latency --article story.txt --requests 1000
  python -m benchmarks peers                                    Info Lens beside other engines, full size (20 minutes)
  python -m benchmarks peers --task category --engines infolens --engines openvino --rounds 9
  python -m benchmarks gpu                                      the models on a GPU (8 minutes)
  python -m benchmarks fixtures --out checkpoints/random        checkpoints of full size with random weights

The last line of the output of most commands is one JSON document whose keys carry their units.
"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of `COMMANDS`."""

    module: str
    """Below this package; has ``add_command(commands)``, which adds a parser of the command's name, and
    ``run_command(parser, args)``, which returns the exit code."""
    help: str
    """Its line in the list of commands."""


COMMANDS: Final = {
    "latency": Command(
        module="latency.command",
        help="latency at one client, and throughput with several requests in flight (closed loop)",
    ),
    "load": Command(
        module="load.open_loop.command",
        help="latency at a rate of arrivals, and the highest rate that holds a bound (open loop)",
    ),
    "locust": Command(
        module="load.closed_loop.command",
        help="a number of users at the same time, over gRPC and HTTP (Locust, closed loop)",
    ),
    "overload": Command(module="load.overload.command", help="three times more requests than the server can answer"),
    "soak": Command(
        module="load.soak.command", help="an hour under load over all routes: as fast, as small and as right as before?"
    ),
    "door": Command(module="load.door.command", help="what the front door adds to a request, and takes of the rate"),
    "page": Command(module="page.command", help="the page for people in a real browser, beside the API"),
    "feedback": Command(
        module="feedback.command", help="what keeping feedback adds to an answer, and how soon quality is told"
    ),
    "tune": Command(module="load.tune.command", help="find the best numbers of the deployment for this machine"),
    "capacity": Command(
        module="capacity.command", help="how cost grows with cores and lengths, and how many machines a rate needs"
    ),
    "autoscale": Command(
        module="capacity.autoscale.command",
        help="the cluster's autoscaler against a day's load, simulated: refusals, replica hours, lateness",
    ),
    "trace": Command(
        module="load.trace.command",
        help="where the time of one info_lens request goes: a timeline of its models, from Triton's own trace",
    ),
    "peers": Command(
        module="peers.command",
        help="the same work through transformers, optimum, CTranslate2, OpenVINO and Info Lens, in turn",
    ),
    "engine": Command(
        module="engine.command", help="the engine with slots beside the one graph, on the processor, in turn"
    ),
    "gpu": Command(
        module="gpu.command", help="what a GPU does with the full-size models: as much as some minutes allow"
    ),
    "training-start": Command(
        module="training_start.command",
        help="how long a training run takes to its first step and as a whole, its memory and CPU time",
    ),
    "fixtures": Command(
        module="fixtures.command", help="write a checkpoint of each task's architecture with random weights"
    ),
}
"""The commands, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 measured, 1 not possible, 2 wrong usage."""
    words = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Info Lens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    chosen = next((word for word in words if not word.startswith("-")), "")
    try:
        modules = {name: _module(name) for name in COMMANDS if name == chosen}
        for name, command in COMMANDS.items():
            if name in modules:
                modules[name].add_command(commands)
            else:
                commands.add_parser(name, help=command.help)
        args = parser.parse_args(words)
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        logging.getLogger("matplotlib").setLevel(logging.WARNING)
        run: Callable[[argparse.ArgumentParser, argparse.Namespace], int] = modules[args.command].run_command
        with _packages_of(args.command):
            return run(parser, args)
    except _told() as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _module(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        BenchmarkError: It needs a package that is not installed.
    """
    with _packages_of(name):
        return import_module(f"{__package__}.{COMMANDS[name].module}")


@contextmanager
def _packages_of(name: str) -> Iterator[None]:
    """A block that imports what a command needs, all or some of it.

    Raises:
        BenchmarkError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.partition(".")[0] == __package__:
            raise
        raise BenchmarkError(
            f"the command {name} needs {missing}, which is not installed here; `make dev` installs what all need"
        ) from error


def _told() -> tuple[type[Exception], ...]:
    """Errors whose message is for the user: ours, and those of the client where a command has imported it."""
    client = sys.modules.get("infolens")
    return (BenchmarkError, client.InfoLensError) if client else (BenchmarkError,)
