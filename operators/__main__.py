"""``python -m operators``: build the library, and say where it is or why there is none."""

from __future__ import annotations

import argparse
import logging
import sys

from .library import build_ahead, ensure_operators

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m operators",
        description="Build the native operators where this machine can run them, and say where they are.",
    )
    parser.add_argument(
        "--ahead",
        action="store_true",
        help="build them for other machines, such as those that an image runs on, whatever this processor is",
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if args.ahead:
        print(f"operators: built ahead, {build_ahead()}")
    else:
        found = ensure_operators()
        print(f"operators: {found}" + (f", {found.path}" if found.path else ""))
