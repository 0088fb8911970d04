"""A model repository of the three models with random weights, as it is served."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from .programs import run

TASKS: Final = {"summary": "bart", "category": "distilbert", "veracity": "xlnet"}
"""The model of each task."""
TARGET: Final = "cuda"
"""What the models are written for, in the number format that is its default."""


def write_repository(
    repository: Path, folder: Path, size: str, tokens: int, left_s: Callable[[], float]
) -> Mapping[str, float]:
    """Write a repository for `TARGET`; one that is there already stays.

    Args:
        repository: A folder.
        folder: Holds the checkpoints and the logs.
        size: ``full`` or ``small``, of `benchmarks.common.fixtures`.
        tokens: What each model reads of an article at most.
        left_s: How long it may still take.

    Returns:
        The seconds of each step, by name.

    Raises:
        ProgramError: A program failed.
    """
    if repository.exists():
        return {}
    checkpoints, began_s = folder / "checkpoints", time.monotonic()
    tasks = [word for task in TASKS for word in ("--task", task)]
    run(["benchmarks", "fixtures", "--out", str(checkpoints), "--size", size, *tasks], folder, limit_s=left_s())
    made_s = time.monotonic()
    words = [word for task, model in TASKS.items() for word in (f"--{task}", str(checkpoints / f"{model}-{size}"))]
    partial = repository.with_name(f"{repository.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    words += ["--target", TARGET, "--max-tokens", str(tokens), "--out", str(partial)]
    run(["export.uncompared", *words], folder, limit_s=left_s())
    partial.rename(repository)
    return {"checkpoints of random weights": made_s - began_s, "models": time.monotonic() - made_s}
