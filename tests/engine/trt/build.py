"""Builds a plan with TensorRT, and says what of: run by the Python of the environment that has it (.cache/trt).

Usage: ``python -m tests.engine.trt.build`` with a JSON document as standard input: ``path``, ``precision``, ``sizes``,
``products``; JSON comes out.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from engine.trt.building import build_plan
from engine.trt.graphs import prepared
from engine.trt.library import load_library


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    path, precision, library = Path(asked["path"]), asked["precision"], load_library()
    products = tuple(asked["products"]) if asked.get("products") else None
    started = time.perf_counter()
    try:
        graph = prepared(path, asked["sizes"], precision)
        plan, timings = build_plan(library, graph, path, precision, products=products)
        found = {"bytes": len(plan), "timings": len(timings)}
    except ValueError as error:
        found = {"error": str(error)}
    json.dump({**found, "version": library.version, "seconds": time.perf_counter() - started}, sys.stdout)


if __name__ == "__main__":
    main()
