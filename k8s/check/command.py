"""``python -m k8s check``: overlays against schemas and the rules of this folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .confinement import ROOT, unconfined
from .lifecycle import unsound
from .objects import CheckError, Finding, build
from .references import broken
from .schemas import KUBERNETES, invalid, without_schema

OVERLAYS: Final = ROOT / "k8s" / "overlays"
EPILOG: Final = """\
Builds each overlay with kubectl's kustomize and holds it against the schemas of Kubernetes and against rules:
selectors, ports, probes, volumes, secrets, security, resources, image tags, and whether a pod has time to end.
No API server takes part: admission, quotas and what your cluster adds are seen by
`kubectl apply --dry-run=server -k OVERLAY` alone.

examples:
  python -m k8s check                              the overlays of this repository
  python -m k8s check clusters/mine                one of your own
  python -m k8s check --schemas schemas/           custom resources too, by keda.sh_scaledobject_v1alpha1.json and so on

exit codes: 0 all rules are kept, 1 some are not, 2 wrong usage, or nothing could be checked
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``check``."""
    parser = commands.add_parser(
        "check",
        help="build overlays and hold them against schemas and rules",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overlays", nargs="*", type=Path, metavar="OVERLAY", help="folders (all of k8s/overlays)")
    parser.add_argument("--schemas", type=Path, metavar="DIR", help="JSON schemas of custom resources")


def run_command(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    overlays = args.overlays or sorted(path.parent for path in OVERLAYS.glob("*/kustomization.yaml"))
    code = 0
    for overlay in overlays:
        try:
            things = build(overlay)
            found = findings(things, args.schemas)
            unseen = without_schema(things, args.schemas)
        except CheckError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        for finding in found:
            print(finding)
        code = 1 if found else code
        rest = f"; without a schema (--schemas): {', '.join(unseen)}" if unseen else ""
        print(f"{overlay}: {len(things)} objects, {len(found)} rules broken{rest}", file=sys.stderr)
    print(f"schemas of Kubernetes {KUBERNETES}; no API server took part", file=sys.stderr)
    return code


def findings(things: Sequence[Mapping[str, Any]], schemas: Path | None = None) -> list[Finding]:
    """Every rule that some objects break.

    Raises:
        CheckError: There is no schema of a custom resource in ``schemas``, or an object is too odd to be looked at.
    """
    found = list(invalid(things, schemas))
    if found:  # what is not of its form cannot be looked at further
        return found
    try:
        return [*unconfined(things), *broken(things), *unsound(things)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckError(
            f"an object lacks a part, or has another kind of one, that its schema does not ask for "
            f"({type(error).__name__}: {error}): look for an empty spec, selector, template or reference"
        ) from error
