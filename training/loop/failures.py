"""How a run breaks off and goes on, in words that help: what lies behind an error of this process or of a worker."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from training import storage
from training.errors import DivergedError, RunError, TrainingError
from training.recipes.recipe import Recipe

from .prepared import read_prepared

logger = logging.getLogger(__name__)

PREPARED: Final = "prepared"
"""In a run's folder: what the workers read, ..."""
STEPS: Final = "steps"
"""...the checkpoints of a run inside this process, ..."""
RAY: Final = "ray"
"""...and those of a run on Ray, unless its recipe names another place."""

_DISK_FULL_WORDS: Final = (
    # safetensors raises its own SafetensorError, with Rust's words for ENOSPC and EDQUOT but without their number...
    "No space left on device",
    "Disk quota exceeded",
    # ...torch.save a RuntimeError that names no reason, only the place in its source...
    "PytorchStreamWriter failed",
    "inline_container.cc",
    # ...and SQLite, which MLflow writes to, an OperationalError.
    "database or disk is full",
)
_LOST_PEER_WORDS: Final = ("gloo", "NCCL", "Connection reset by peer", "Connection closed by peer")
"""What a worker says whose neighbour is gone: not the reason."""
_OUT_OF_MEMORY_WORDS: Final = (
    # torch raises a plain RuntimeError where the memory is not a GPU's.
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    # Ray Train keeps of a worker that Ray's memory monitor has killed the text only.
    "killed due to memory pressure",
    "ray.exceptions.OutOfMemoryError",
)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that lie behind it, the deepest first: its causes, and those that Ray brings from workers."""
    yield from _chain(error, set())


def _chain(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    behind = [error.__cause__ or error.__context__]
    behind += [part for part in error.args if isinstance(part, BaseException)]  # Ray Train wraps a worker's error so
    # The attributes of RayTaskError, of Ray Train's WorkerHealthCheckFailedError and of its ControllerError.
    behind += [getattr(error, name, None) for name in ("cause", "health_check_failure", "controller_failure")]
    behind += _worker_failures(error).values()
    for other in behind:
        if isinstance(other, BaseException):
            yield from _chain(other, seen)
    yield error


def _worker_failures(error: BaseException) -> dict[int, BaseException]:
    """Rank -> what ended that worker, of a ``ray.train.WorkerGroupError``; empty for any other error."""
    return getattr(error, "worker_failures", None) or {}


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk is behind an error, whichever library met it."""
    return any(
        (isinstance(each, OSError) and each.errno in {errno.ENOSPC, errno.EDQUOT}) or _says(each, _DISK_FULL_WORDS)
        for each in chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether too little memory, of a GPU or of the machine, is behind an error."""
    return any(
        isinstance(each, torch.OutOfMemoryError | MemoryError) or _says(each, _OUT_OF_MEMORY_WORDS)
        for each in chain(error)
    )


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = f"{type(error).__name__}: {error}"
    return any(part in text for part in words)


def explained(error: Exception, recipe: Recipe, work: Path) -> RunError:
    """What to raise for an error that ended a run: its reason, and how to go on, in one line."""
    again = way_on(recipe, work)
    for each in chain(error):
        if isinstance(each, DivergedError):
            return DivergedError(f"{each}. With such a change {again}")
    if is_disk_full(error):
        return RunError(f"the disk of {recipe.storage or work} is full: free some space; {again}")
    if is_out_of_memory(error):
        return RunError(
            "out of memory: lower per_device_train_batch_size and raise gradient_accumulation_steps as much, or try "
            f"precision=bf16, gradient_checkpointing=true or strategy=fsdp; {again}"
        )
    failures = _worker_failures(error)
    if failures and _died(_culprit(failures)[1]):
        tries = f", {recipe.max_failures + 1} tries" if recipe.max_failures else ""
        return RunError(f"training broke off: {what_failed(failures)}{tries}; {again}")
    reason = _last_line(_culprit(failures)[1] if failures else error)
    return RunError(f"training broke off: {reason}{_written(error, work)}; {again}")


def _written(error: Exception, work: Path) -> str:
    """Where the whole traceback of an error was written, that of a worker too; empty where it cannot be."""
    file = work / "error.txt"
    try:
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return ""
    return f" (the traceback is in {file})"


def what_failed(failures: Mapping[int, BaseException]) -> str:
    """Which worker ended an attempt, and how, in a few words; ``failures`` maps ranks to errors, one at least."""
    rank, error = _culprit(failures)
    if _died(error):
        how = "out of memory" if is_out_of_memory(error) else "killed from outside, or crashed"
        return f"worker {rank} died ({how})"
    return f"worker {rank} failed ({_last_line(error)})"


def _culprit(failures: Mapping[int, BaseException]) -> tuple[int, BaseException]:
    """The worker that drew the others with it: one that died, or else one that says more than that a peer is gone."""
    return min(failures.items(), key=lambda item: (not _died(item[1]), _says(item[1], _LOST_PEER_WORDS), item[0]))


def _died(error: BaseException) -> bool:
    """Whether a worker's process is gone, as Ray has it: ``ray.exceptions.RayActorError`` and its subclasses."""
    return any(kind.__name__ == "RayActorError" for each in chain(error) for kind in type(each).__mro__)


def _last_line(error: BaseException) -> str:
    lines = [line for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    return lines[-1].strip()


def way_on(recipe: Recipe, work: Path) -> str:
    """How a run that was cut off goes on with the same command: from which step, and what it has kept for that.

    Args:
        recipe: How it trains.
        work: The folder of the run.
    """
    try:
        step, kept = _kept(recipe, work)
    except (OSError, TrainingError) as error:
        logger.debug("%s: cannot be looked at: %s", recipe.storage or work, error)
        return f"the same command goes on from the last checkpoint, which is in {recipe.storage or work}"
    if not kept:
        return "nothing was kept yet: the same command begins anew"
    held = " and ".join(f"{place} ({storage.in_bytes(size)})" for place, size in kept.items())
    if not step:
        return f"no checkpoint was there yet: the same command begins anew; what is prepared is in {held}"
    delete = "them" if len(kept) > 1 else "it"
    return f"the same command goes on from step {step}; for that there is {held}: delete {delete} to begin anew"


def _kept(recipe: Recipe, work: Path) -> tuple[int, dict[str, int]]:
    """The step of the newest checkpoint, 0 where there is none, and place -> bytes of what a run has kept."""
    kept = {str(work): storage.size_bytes(str(work))}
    prepared = read_prepared(work / PREPARED)
    step = 0
    if prepared is not None:
        step = last_step(recipe, work, prepared.key)
        if recipe.storage:
            place = storage.run_folder(recipe.storage, work, prepared.key)
            kept[place] = storage.size_bytes(place)
    return step, {place: size for place, size in kept.items() if size}


def last_step(recipe: Recipe, work: Path, key: str) -> int:
    """The step of the checkpoint that a run would go on from; 0 for the beginning.

    Args:
        recipe: How it trains.
        work: The folder of the run.
        key: Of what it trains on (`Prepared.key`).

    Raises:
        StorageError: The recipe's storage cannot be opened.
        OSError: It cannot be read.
    """
    if not recipe.workers:
        here = str(work / STEPS / key)
        places = [here, storage.run_folder(recipe.storage, work, key)] if recipe.storage else [here]
        return max(storage.newest_step(place) for place in places)
    filesystem, path = storage.resolve(storage.run_folder(recipe.storage or str(work / RAY), work, key))
    from ray.train import Result

    try:
        found = Result.from_path(path, filesystem)
    except RuntimeError:  # there is no such run yet
        return 0
    return int((found.metrics or {}).get("step", 0))


def shortage(asked: Mapping[str, float], workers: int) -> str:
    """What a Ray cluster lacks for so many workers, in words; empty where it lacks nothing."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(min(int(node.get(name, 0) / count + 1e-6) for name, count in asked.items()) for node in nodes)
    if room >= workers:
        return ""
    each = " and ".join(f"{count:g} {name}" for name, count in asked.items())
    there = " and ".join(f"{sum(node.get(name, 0) for node in nodes):g} {name}" for name in asked)
    return (
        f"workers={workers} ask for {each} each, and there is room for {room}: Ray has {there} on "
        f"{len(nodes)} machine{'s' if len(nodes) > 1 else ''}"
    )


def told_of_losses(tries: int, step: int) -> Any:
    """A callback for Ray Train that says in one line that an attempt failed, and from where the next one goes on.

    Args:
        tries: How many attempts there are.
        step: Of the checkpoint that the first one goes on from.
    """
    from ray.train import UserCallback

    class Losses(UserCallback):
        def __init__(self) -> None:
            self.attempt, self.step = 1, step

        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            if checkpoint is not None:
                self.step = int(metrics[0].get("step", self.step))

        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
            self.attempt += 1
            if self.attempt <= tries:
                # This runs in a process of Ray's, whose log nobody has set up.
                logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
                where = f"going on from step {self.step}" if self.step else "beginning anew"
                logger.warning("%s; %s, try %d of %d", what_failed(worker_exceptions), where, self.attempt, tries)

    return Losses()
