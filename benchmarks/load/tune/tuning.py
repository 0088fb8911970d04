"""Tuning: the numbers of a deployment, chosen by measurement on this machine.

One knob after the other (coordinate descent): its values take turns with the best so far, each on a fresh server, and
another value is taken only when it is clearly better. What is measured is what a user of a loaded server gets: how many
of the requests of an open loop, faster than the server can answer, are answered within the bound.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common.articles import Articles
from benchmarks.common.open_loop import Arrivals, run
from benchmarks.common.server import ROOT, BenchmarkError, started_server
from benchmarks.common.wire import RequestOutcome
from infolens.contract import INFO_LENS, Task

from .knobs import Knob, TuneConfig

Overrides = Mapping[str, Any]
"""Settings of a deployment by dotted names, such as ``summary.instances``."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One value of one knob."""

    knob: str
    value: Any
    """None for what was best before."""
    goodput_per_s: tuple[float, ...]
    """Answers within the bound, by rounds."""
    failure: str = ""
    """Why it could not be measured; empty when it could."""

    @property
    def score(self) -> float:
        """The middle of the rounds; 0 when it could not be measured."""
        return median(self.goodput_per_s) if self.goodput_per_s else 0.0


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The best settings, and how they were found."""

    overrides: Overrides
    """What differs from the repository."""
    trials: tuple[Trial, ...]
    gain: float
    """Goodput of the best settings by that of the repository's, less 1; both measured in turn at the end."""


def to_toml(overrides: Overrides) -> str:
    """The deployment file of some overrides, as `python -m export configs --deployment` reads it."""
    plain = {name: value for name, value in overrides.items() if "." not in name}
    lines = [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    for task in Task:
        table = {name: value for name, value in overrides.items() if name.startswith(f"{task.value}.")}
        if table:
            lines += ["", f"[{task.value}]"]
            lines += [f"{name.partition('.')[2]} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(lines).strip() + "\n"


def write_configs(repository: Path, deployment: Path, config_name: str | None = None) -> None:
    """Generate the configurations of a deployment in a repository, through the exporter's command line.

    Raises:
        BenchmarkError: The exporter refuses the deployment.
    """
    command = [sys.executable, "-m", "export", "configs", "--repository", str(repository)]
    command += ["--deployment", str(deployment), *(("--config-name", config_name) if config_name else ())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise BenchmarkError(f"the deployment cannot be generated: {done.stderr.strip()}")


def measure_goodput(repository: Path, overrides: Overrides, config: TuneConfig, turn: int) -> float:
    """Answers within the bound, a second, from a fresh server with some overrides.

    Raises:
        BenchmarkError: The server does not start with them.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="infolens-tune-")))
        copy = folder / "model_repository"
        shutil.copytree(repository, copy)
        (folder / "deployment.toml").write_text(to_toml(overrides), encoding="utf-8")
        write_configs(copy, folder / "deployment.toml")
        server = stack.enter_context(started_server(["--repository", str(copy)]))
        # The same arrivals and articles for every value in one turn.
        arrivals = Arrivals(
            rate_per_s=config.rate_per_s, seconds=config.seconds, warmup_s=config.warmup_s, kind=INFO_LENS, seed=turn
        )
        found = run(server.grpc_url, Articles(seed=config.seed + turn), arrivals)
    good = [one for one in found.sent if one.outcome is RequestOutcome.ANSWERED and one.latency_ms <= config.bound_ms]
    return len(good) / config.seconds


def compare(
    measure: Callable[[Overrides, int], float], candidates: Mapping[str, Overrides], rounds: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Measure candidates in turn, so that a noisy minute touches all of them; one that fails is left out from then on.

    Returns:
        Goodput by candidate and round, and the reasons of those that failed.
    """
    found: dict[str, list[float]] = {name: [] for name in candidates}
    failures: dict[str, str] = {}
    for turn in range(rounds):
        for name, overrides in candidates.items():
            if name in failures:
                continue
            try:
                found[name].append(measure(overrides, turn))
            except BenchmarkError as error:
                failures[name] = str(error).splitlines()[0]
            told = failures.get(name) or f"{found[name][-1]:.1f} answers/s in time"
            log.info("  %-48s %s", name, told)
    return found, failures


def tune(
    measure: Callable[[Overrides, int], float], tried: Sequence[Knob], *, rounds: int, minimum_gain: float
) -> Tuned:
    """Coordinate descent over ``tried``, from the repository's own settings.

    Args:
        measure: Goodput of some overrides; the second argument is the number of the turn.
        tried: The knobs, in their order.
        rounds: Turns of each value.
        minimum_gain: How much better a value must be than the best so far.
    """
    best: dict[str, Any] = {}
    trials: list[Trial] = []
    for knob in tried:
        candidates: dict[str, Overrides] = {"as it is": dict(best)}
        candidates |= {f"{knob.name} = {json.dumps(value)}": {**best, knob.name: value} for value in knob.values}
        if len(candidates) == 1:
            continue
        log.info("%s (%s)", knob.name, knob.words)
        found, failures = compare(measure, candidates, rounds)
        values = (None, *knob.values)
        turn = [
            Trial(knob=knob.name, value=value, goodput_per_s=tuple(found[name]), failure=failures.get(name, ""))
            for value, name in zip(values, candidates, strict=True)
        ]
        trials += turn
        winner = max(turn[1:], key=lambda trial: trial.score)
        if winner.score > (1 + minimum_gain) * turn[0].score:
            best[knob.name] = winner.value
            log.info("  taken: %s = %s", knob.name, json.dumps(winner.value))
    gain = 0.0
    if best:
        log.info("the repository's settings and the best ones")
        found, _ = compare(measure, {"repository": {}, "best": best}, max(2, rounds))
        gain = median(found["best"]) / median(found["repository"]) - 1 if found["best"] else 0.0
    return Tuned(overrides=best, trials=tuple(trials), gain=gain)
