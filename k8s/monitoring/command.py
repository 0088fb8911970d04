"""``python -m k8s dashboards``: write what is made of code, or say what is stale."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from .files import HERE, RulesError, stale, write

EPILOG: Final = """\
Writes the dashboards (k8s/monitoring/dashboards/*.json), and for clusters a ConfigMap of them and a PrometheusRule of
the rules (k8s/components/monitoring). Import a dashboard into Grafana as it is; it asks which Prometheus to use.

examples:
  python -m k8s dashboards            write what has changed
  python -m k8s dashboards --check    write nothing; exit with 1 if something is stale

exit codes: 0 all is as it must be, 1 something is stale, 2 wrong usage
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``dashboards``."""
    parser = commands.add_parser(
        "dashboards",
        help="write dashboards and rules for Grafana and clusters",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="only say what is stale")


def run_command(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    try:
        return _run(check=args.check)
    except (RulesError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(*, check: bool) -> int:
    root = HERE.parents[1]
    if check:
        found = stale()
        for path in found:
            print(f"{path.relative_to(root)} is stale: python -m k8s dashboards writes it anew")
        return 1 if found else 0
    for path in write():
        print(f"wrote {path.relative_to(root)}", file=sys.stderr)
    return 0
