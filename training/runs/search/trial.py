"""One trial of a search, in a process of Ray Tune's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import transformers
from transformers import TrainerCallback
from transformers.trainer_utils import rotate_checkpoints

from training.errors import DivergedError, SettingError
from training.loop.jobs import Job
from training.loop.worker import train
from training.recipes.settings import replace_fields
from training.tracking.client import open_client

from .board import TUNED
from .nested import Nested


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What all trials of a search have in common; it travels to their processes."""

    job: Job
    parent_run: str
    """The MLflow run of the search; empty where nothing is recorded."""
    folder: str
    """Where the trials' folders are, which every process sees."""
    total: int
    """How many trials there will be."""
    measurements: int
    """How often a trial is measured."""
    score: str
    """The validation figure that is searched for."""
    higher_is_better: bool


def number_of(trial_id: str) -> int:
    """A trial's number, from 1 on: Ray Tune counts them in the last part of their names."""
    return int(trial_id.rpartition("_")[2]) + 1


def folder_name(trial: Any) -> str:
    """The name of a Ray Tune trial's folder."""
    return f"trial-{number_of(trial.trial_id):02d}"


def steps_folder(folder: Path, number: int) -> Path:
    """Where a trial keeps its checkpoint, below the folder of all trials."""
    return folder / f"trial-{number:02d}" / "steps"


def run_trial(config: Mapping[str, Any], *, plan: Plan) -> None:
    """Train, and report each measurement to Ray Tune; a trial that was cut off goes on from its checkpoint.

    A trial that diverges, or whose settings are refused, reports that as its last words: to train it once more would
    end the same way.

    Args:
        config: The trial's value of each setting of `TUNED`.
        plan: What all trials have in common.
    """
    from ray import tune

    transformers.utils.logging.set_verbosity_error()  # that the best checkpoint is gone, and such
    job = plan.job
    task, tracking = job.task, job.tracking
    number = number_of(tune.get_context().get_trial_id())
    changed = {name: config[name] for name in TUNED}
    run_id = ""
    if tracking is not None and plan.parent_run:
        nested = Nested(client=open_client(tracking), tracking=tracking, parent=plan.parent_run)
        run_id = nested.open(number, plan.total, task=task.value, settings=changed)
    steps = steps_folder(Path(plan.folder), number)
    try:
        job = replace(job, recipe=replace_fields(job.recipe, changed), steps=str(steps), run_id=run_id)
        train(job, callbacks=(_KeepNewest(), _ReportToTune(plan.measurements, plan.score)))
    except (DivergedError, SettingError) as error:
        worst = -math.inf if plan.higher_is_better else math.inf
        tune.report({"score": worst, "loss": math.inf, "measurement": 0, "step": 0, "failed": str(error)})


class _KeepNewest(TrainerCallback):
    """Keeps one checkpoint, to go on from: nobody asks for the best one of a trial."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        rotate_checkpoints(args.output_dir, 1, None, use_mtime=False)


class _ReportToTune(TrainerCallback):
    """Has the model measured at even distances, and tells Tune the score each time."""

    def __init__(self, measurements: int, score: str) -> None:
        self.measurements, self.score = measurements, score

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        every = max(1, -(-state.max_steps // self.measurements))
        args.eval_strategy = args.save_strategy = "steps"
        state.eval_steps = state.save_steps = every
        if state.global_step:
            self._report(state)  # the trial may have been cut off between its checkpoint and its report

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._report(state)

    def _report(self, state: Any) -> None:
        from ray import tune

        found = [entry for entry in state.log_history if f"eval_{self.score}" in entry][-1]
        tune.report(
            {
                "score": found[f"eval_{self.score}"],
                "loss": found["eval_loss"],
                "measurement": -(-state.global_step // state.save_steps),
                "step": state.global_step,
                "steps": state.max_steps,
            }
        )
