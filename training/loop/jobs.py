"""What a training process is told and what it tells: both travel between processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infolens.contract import CONTRACTS, Task, register
from training.recipes.recipe import Recipe
from training.tracking.client import Tracking


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process trains; can be unpickled where the task is not registered yet."""

    task_name: str
    contract: Mapping[str, Any]
    """The fields of the task's contract, as `infolens.contract.register` takes them."""
    recipe: Recipe
    prepared: str
    """Folder or URL of what is trained on (see `prepared.Prepared`)."""
    steps: str = ""
    """Folder of this process's checkpoints."""
    resume: str = ""
    """The checkpoint to go on from; empty takes the newest in ``steps``, if there is one."""
    threads: int = 0
    """Threads of torch in this process; 0 leaves them to torch."""
    tracking: Tracking | None = None
    """Where the first worker sends its figures while the run goes on."""
    run_id: str = ""
    """The MLflow run that they belong to; empty sends nothing."""
    relay: bool = False
    """Whether the first worker has its driver draw its progress, instead of writing lines into its log."""

    @classmethod
    def of(
        cls,
        task: Task,
        recipe: Recipe,
        prepared: str,
        *,
        steps: str = "",
        threads: int = 0,
        tracking: Tracking | None = None,
        run_id: str = "",
    ) -> Job:
        """The job of a task that is registered in this process."""
        contract = CONTRACTS[task]
        facts = {f.name: getattr(contract, f.name) for f in dataclasses.fields(contract) if f.name != "task"}
        return cls(
            task_name=task.value,
            contract=facts,
            recipe=recipe,
            prepared=prepared,
            steps=steps,
            threads=threads,
            tracking=tracking,
            run_id=run_id,
        )

    @property
    def task(self) -> Task:
        """The task, registered in this process if it was not yet."""
        if self.task_name not in CONTRACTS:
            return register(self.task_name, **self.contract)
        return Task(self.task_name)


@dataclass(frozen=True, kw_only=True)
class WorkerFigures:
    """What one worker measured of itself."""

    peak_memory_bytes: int
    """The most it had: on the GPU where there is one, else resident."""
    step_ms: float
    """The median time of an optimizer step."""
    train_s: float
    """The whole training, with measuring and saving."""
    threads: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training ended with."""

    checkpoint: Path
    """Folder of the best checkpoint, or of the last one where none was better than another."""
    history: list[dict[str, Any]]
    """The trainer's log: losses and validation figures by step."""
    workers: tuple[WorkerFigures, ...]
    steps: int
    resumed_step: int
    """The step of the checkpoint that the run last went on from; 0 for the beginning."""
    parameter_bytes: int
    """Size of the parameters that are trained: what the workers exchange."""
