"""A process that holds one engine: ``python -m benchmarks.peers.worker``, JSON lines over stdin and stdout.

It runs in the peers' environment, or in ours for our own engine, and imports nothing of ours but `engines`, which needs
the engine's packages only. The conversation:

* the job, once: ``{"engine", "architecture", "answers", "model", "threads"}``, where the architecture is a key of
  `shapes.SHAPES` and the answers are ``text`` or ``labels``; and ``"operators"``, the library of native operators, for
  our own engine
* the answer: ``{"load_s", "versions", "notes"}`` or ``{"error"}``, after which the process ends
* any number of turns: ``{"inputs": {name: {"dtype", "rows"}}, "generation": {...} or null, "minimum_s",
  "maximum_runs"}``
* each answered by ``{"seconds": [one for each run], "answer": rows}`` or ``{"error"}``

``rows`` of an answer are token ids of summaries, or probabilities. The clock runs from arrays in the engine's own
form to arrays; JSON is outside. The end of stdin ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

import numpy as np

from .engines import ENGINES, Engine


def main() -> int:
    """Serve one engine until stdin ends."""
    # Libraries print what they like: the conversation has a channel of its own, and stdout goes to stderr.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        engine = _load(json.loads(sys.stdin.readline()), channel)
    except Exception as error:
        _say(channel, {"error": _words(error)})
        return 1
    for line in sys.stdin:
        try:
            _say(channel, _turn(engine, json.loads(line)))
        except Exception as error:
            _say(channel, {"error": _words(error)})
    return 0


def _load(job: dict[str, Any], channel: TextIO) -> Engine:
    kind = ENGINES[job["engine"]]
    kind.load_packages(job)
    start = time.perf_counter()
    engine = kind(job)
    load_s = time.perf_counter() - start
    _say(channel, {"load_s": load_s, "versions": _versions(kind.packages), "notes": engine.notes})
    return engine


def _turn(engine: Engine, turn: dict[str, Any]) -> dict[str, Any]:
    inputs = {name: np.array(array["rows"], array["dtype"]) for name, array in turn["inputs"].items()}
    run = engine.prepare(inputs, turn["generation"])
    seconds: list[float] = []
    raw = None
    while not seconds or (sum(seconds) < turn["minimum_s"] and len(seconds) < turn["maximum_runs"]):
        start = time.perf_counter()
        raw = run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "answer": engine.rows(raw)}


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _say(channel: TextIO, document: dict[str, Any]) -> None:
    channel.write(json.dumps(document) + "\n")
    channel.flush()


if __name__ == "__main__":
    raise SystemExit(main())
