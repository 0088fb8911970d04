"""Start training runs as a user does, and measure them from outside."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.common.processes import ProcessWatch
from benchmarks.common.server import BenchmarkError

from .articles import write_table
from .config import Side, StartConfig, sides_of

STEP: Final = re.compile(r"\bstep (\d+) of \d+\b")
"""What a line of the log says of a step that is done."""
LOOK_S: Final = 0.5
"""Seconds between two looks at the processes of a run."""
_ELSEWHERE: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "RAY_ADDRESS")
"""Variables that would have a run record, or train, elsewhere."""
_ENDING_S: Final = 60.0
_TOLD_LINES: Final = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """One run."""

    first_step_s: float
    """From the start of the process to the line of the log that tells of the first step."""
    first_step: int
    """Which step that line tells of: 1, unless a version of ``training`` does not tell of each."""
    run_s: float
    """From the start of the process to its end."""
    peak_bytes: int
    """The largest memory of the process and all below it together: proportional set size, so that shared pages count
    once."""
    cpu_s: float
    """CPU time of all these processes, user and system, as far as it was seen before they ended."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All that was measured."""

    config: StartConfig
    starts: dict[str, tuple[Start, ...]]
    """The runs of each side by its name, in the order of the rounds."""


def compare(config: StartConfig, sides: Sequence[Side] = ()) -> Compared:
    """Run each side in turn, ``config.rounds`` times, each time in a new folder.

    Args:
        config: What is run.
        sides: What takes turns; by default those of ``config``.

    Raises:
        BenchmarkError: A run fails.
    """
    sides = sides or sides_of(config)
    starts: dict[str, list[Start]] = {side.name: [] for side in sides}
    for number in range(config.rounds):
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                one = train(side, Path(folder), steps=config.steps)
            starts[side.name].append(one)
            log.info(
                "round %d of %d, %s: first step after %.1f s, whole run %.1f s, %.0f MB, %.1f s of CPU time",
                number + 1, config.rounds, side.name, one.first_step_s, one.run_s, one.peak_bytes / 1e6, one.cpu_s,
            )  # fmt: skip
    return Compared(config=config, starts={name: tuple(found) for name, found in starts.items()})


def train(side: Side, folder: Path, *, steps: int, look_s: float = LOOK_S) -> Start:
    """Train once, and wait for the end.

    Args:
        side: What is run.
        folder: An empty folder, which gets the table, the tracking and the checkpoint.
        steps: Optimizer steps.
        look_s: Seconds between two looks at the processes.

    Raises:
        BenchmarkError: The run fails, or tells of no step.
    """
    table = write_table(folder / "articles.csv")
    settings = {"max_steps": steps, "logging_steps": 1, **({} if side.workers is None else {"workers": side.workers})}
    words = [f"{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "training", "fit", "category", "--data", table.name, "--base", "starter"]
    command += [word for one in words for word in ("--set", one)] + ["--out", "checkpoint"]
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environment["PYTHONPATH"] = os.pathsep.join((str(side.root / "clients"), str(side.root)))
    told: deque[str] = deque(maxlen=_TOLD_LINES)
    first_step, first_step_s = 0, 0.0
    began_s = time.monotonic()
    with _ended(subprocess.Popen(  # noqa: S603 - our own module
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace",
    )) as process, ProcessWatch(process.pid, interval_s=look_s).running() as watch:  # fmt: skip
        for line in process.stdout or ():
            told.append(line.rstrip())
            if not first_step and (found := STEP.search(line)):
                first_step, first_step_s = int(found[1]), time.monotonic() - began_s
        code = process.wait()
        run_s = time.monotonic() - began_s
    if code or not first_step:
        why = f"ended with exit code {code}" if code else 'told of no step: no line says "step 1 of ..."'
        last = "\n".join(told)
        raise BenchmarkError(f"the training run of {side.name} {why}; its last lines:\n{last}")
    return Start(
        first_step_s=first_step_s, first_step=first_step, run_s=run_s, peak_bytes=watch.peak_bytes, cpu_s=watch.cpu_s
    )


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that has ended after the block, whatever happens in it."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=_ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()
