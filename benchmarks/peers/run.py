"""Info Lens beside its peers: the same work through several engines, in turn, on one machine."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common.fixtures import SIZES, make_fixtures
from benchmarks.common.served import served_models
from benchmarks.common.server import BenchmarkError, started_server
from benchmarks.common.shapes import shape_of
from infolens.contract import CONTRACTS
from operators.library import ensure_operators

from .artefacts import CONFIG_NAME, converted, exported, graph_of
from .config import EXACT, LABELS, OURS, PeersConfig
from .conversion import NotOfferedError
from .environment import ensure_peers, worker_environment
from .process import Worker, WorkerError, cpu_s, peak_bytes, settle
from .roofline import Rates, measure_machine_rates, minimum_time_s
from .workload import Workload, articles, graph_inputs, workload_of

_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class EngineMeasurement:
    """One engine on one task."""

    engine: str
    status: str = "measured"
    """``measured``, ``not offered`` or ``failed``."""
    reason: str = ""
    """Why it was not measured."""
    notes: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    load_s: float = 0.0
    memory_bytes: int = 0
    """Peak resident memory of its processes."""
    idle_cores: float = 0.0
    """The maximum CPU that it used while another engine had its turn, in cores."""
    seconds: dict[int, list[float]] = field(default_factory=dict)
    """By batch: the median call of each round."""
    answers: dict[int, list[list[Any]]] = field(default_factory=dict)
    """By batch: token ids of summaries, or probabilities."""


@dataclass(frozen=True, kw_only=True)
class TaskMeasurement:
    """All engines on one task."""

    workload: Workload
    size: str
    rounds: int
    threads: int
    rates: Rates
    minimum_s: dict[int, float]
    """By batch: the minimum time that the work takes, in seconds."""
    engines: list[EngineMeasurement]


def measure(config: PeersConfig, rates: Rates | None = None) -> Iterator[TaskMeasurement]:
    """Measure the tasks of ``config`` one after the other; an engine that fails does not stop the others.

    Args:
        config: What to measure.
        rates: What the machine can do; measured first if not given.

    Raises:
        BenchmarkError: The architecture of a task has no record in `shapes`.
    """
    workloads = [workload_of(task) for task in config.tasks]
    size = SIZES[config.size]
    checkpoints = make_fixtures(config.fixtures, size, config.tasks)
    if rates is None:
        _LOG.info("==> measuring what this machine can do")
        rates = measure_machine_rates(config.threads)
    python: Path | BenchmarkError = Path(sys.executable)
    if set(config.engines) - set(OURS):
        try:
            python = ensure_peers(config.cache)
        except BenchmarkError as error:
            _LOG.warning("%s", error)
            python = error  # The reason in the table of each peer.
    for task, workload in zip(config.tasks, workloads, strict=True):
        shape = shape_of(workload.architecture).sizes[size]
        batches = config.batches or workload.batches
        _LOG.info("==> %s: %s, batches of %s", task, workload, ", ".join(map(str, batches)))
        engines = _measure_task(config, workload, batches, checkpoints[task].absolute(), python)
        yield TaskMeasurement(
            workload=workload,
            size=config.size,
            rounds=config.rounds,
            threads=config.threads,
            rates=rates,
            minimum_s={batch: minimum_time_s(workload, shape, batch, rates) for batch in batches},
            engines=engines,
        )


def _measure_task(
    config: PeersConfig, workload: Workload, batches: Sequence[int], checkpoint: Path, python: Path | BenchmarkError
) -> list[EngineMeasurement]:
    results = {engine: EngineMeasurement(engine=engine) for engine in LABELS if engine in config.engines}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for engine, result in results.items():
            _LOG.info("==> loading %s", LABELS[engine])
            try:
                worker = stack.enter_context(_engine(engine, config, workload, max(batches), checkpoint, python))
                for batch in batches:
                    result.answers[batch] = _turn(worker, engine, workload, batch)[1]
                    _check_lengths(workload, result.answers[batch])
            except NotOfferedError as error:
                result.status, result.reason = "not offered", str(error)
            except BenchmarkError as error:
                result.status, result.reason = "failed", str(error)
            else:
                workers[engine] = worker
                result.load_s, result.versions, result.notes = worker.load_s, worker.versions, worker.notes
                settle(worker.watched)
            if result.reason:
                _LOG.warning("%s %s: %s", LABELS[engine], result.status, result.reason)
        for number in range(config.rounds):
            _LOG.info("==> round %d of %d", number + 1, config.rounds)
            for batch in batches:
                _round(config, workload, batch, number, workers, results)
        for engine, worker in workers.items():
            results[engine].memory_bytes = peak_bytes(worker.watched)
    return list(results.values())


def _round(
    config: PeersConfig,
    workload: Workload,
    batch: int,
    number: int,
    workers: dict[str, Worker],
    results: Mapping[str, EngineMeasurement],
) -> None:
    """One turn of each engine; each round begins with another one, and an engine that fails takes no more turns."""
    names = list(workers)
    start = number % max(1, len(names))
    for engine in names[start:] + names[:start]:
        others = [name for name in workers if name != engine]
        before, began = {name: cpu_s(workers[name].watched) for name in others}, time.perf_counter()
        try:
            seconds, _ = _turn(workers[engine], engine, workload, batch, config.minimum_turn_s, config.maximum_runs)
        except WorkerError as error:
            results[engine].status, results[engine].reason = "failed", str(error)
            _LOG.warning("%s failed: %s", LABELS[engine], error)
            del workers[engine]
            continue
        elapsed_s = time.perf_counter() - began
        for name in others:
            share = (cpu_s(workers[name].watched) - before[name]) / elapsed_s
            results[name].idle_cores = max(results[name].idle_cores, share)
        results[engine].seconds.setdefault(batch, []).append(median(seconds))
        settle(workers[engine].watched)


def _check_lengths(workload: Workload, answers: Sequence[Sequence[Any]]) -> None:
    """Refuse an engine that writes another number of tokens, since it does another amount of work.

    Raises:
        WorkerError: A summary has another length than was asked for.
    """
    if workload.generation is None:
        return
    wrong = {len(answer) for answer in answers} - {workload.generation.tokens_out}
    if wrong:
        found = ", ".join(map(str, sorted(wrong)))
        raise WorkerError(f"it wrote {found} tokens, not exactly {workload.generation.tokens_out}")


def _turn(
    worker: Worker, engine: str, workload: Workload, batch: int, minimum_s: float = 0.0, maximum_runs: int = 1
) -> tuple[list[float], list[list[Any]]]:
    inputs = graph_inputs(workload, batch) if engine in OURS else articles(workload, batch)
    generation = asdict(workload.generation) if workload.generation else None
    return worker.run(inputs, generation, minimum_s=minimum_s, maximum_runs=maximum_runs)


@contextmanager
def _engine(
    engine: str,
    config: PeersConfig,
    workload: Workload,
    largest_batch: int,
    checkpoint: Path,
    python: Path | BenchmarkError,
) -> Iterator[Worker]:
    """The worker of an engine, with all that it needs.

    Raises:
        NotOfferedError: The engine has no such model.
        BenchmarkError: It cannot be set up.
    """
    task = workload.task
    job = {
        "engine": engine,
        "architecture": workload.architecture,
        "answers": CONTRACTS[task].answers.value,
        "threads": config.threads,
        "model": str(checkpoint),
    }
    environment = worker_environment(config.threads)
    log = config.cache / "logs" / f"{engine}-{checkpoint.name}.log"
    if engine not in OURS:
        if isinstance(python, BenchmarkError):
            raise python
        if engine != EXACT:
            job["model"] = str(converted(engine, task, checkpoint, python, config.cache))
        with Worker(python, job, log=log, environment=environment) as worker:
            yield worker
        return
    repository = exported(task, checkpoint, config.cache, threads=config.threads, largest_batch=largest_batch)
    own = Path(sys.executable)
    if engine == "infolens":
        job["model"] = str(graph_of(repository, task))
        job["operators"] = str(ensure_operators().path or "")
        with Worker(own, job, log=log, environment=environment) as worker:
            yield worker
        return
    options = ["--repository", str(repository), "--config-name", CONFIG_NAME]
    with started_server(options) as server:
        job["model"] = f"{server.grpc_url.removeprefix('grpc://')}/{served_models(repository)[task].name}"
        with Worker(own, job, log=log, environment=environment) as worker:
            worker.load_s, worker.watched = server.start_s, [server.pid]
            worker.notes = "one instance; load is the start of the server; memory is that of all its processes"
            yield worker
