"""``python -m k8s``: what keeps the manifests and the dashboards true."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = {"check": "k8s.check.command", "dashboards": "k8s.monitoring.command"}
"""Each command and the module that has ``add_command(commands)`` and ``run_command(args)``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m k8s", description="Check what a cluster gets, before a cluster gets it."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    modules = {name: importlib.import_module(module) for name, module in COMMANDS.items()}
    for module in modules.values():
        module.add_command(commands)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    code: int = modules[args.command].run_command(args)
    return code
