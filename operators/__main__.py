"""``python -m operators``: build the library, and say where it is or why there is none."""

from __future__ import annotations

import argparse
import logging
import sys

from .library import ensure_operators

if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m operators",
        description="Build the native operators where this machine can run them, and say where they are.",
    ).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    found = ensure_operators()
    print(f"operators: {found}" + (f", {found.path}" if found.path else ""))
