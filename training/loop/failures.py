"""Why a run broke off, in words that help: what lies behind an error of this process or of a worker."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from training.errors import DivergedError, RunError
from training.recipes.recipe import Recipe

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
    behind.append(getattr(error, "cause", None))  # of ray.exceptions.RayTaskError
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
    """What to raise for an error that ended a run: its reason, and how to go on."""
    again = f"the same command goes on from the last checkpoint, which is in {recipe.storage or work}"
    for each in chain(error):
        if isinstance(each, DivergedError):
            return each
    if is_disk_full(error):
        return RunError(f"the disk of {recipe.storage or work} is full: free some space; {again}")
    if is_out_of_memory(error):
        return RunError(
            "out of memory: lower per_device_train_batch_size and raise gradient_accumulation_steps as much, or try "
            f"precision=bf16, gradient_checkpointing=true or strategy=fsdp; {again}"
        )
    failures = [*_worker_failures(error).values()]
    shown = failures[-1] if failures else error
    lines = [line for line in f"{type(shown).__name__}: {shown}".splitlines() if line.strip()]
    return RunError(f"training broke off: {lines[-1]}; {again}")
