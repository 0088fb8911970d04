"""Run a prepared job on Ray: workers, checkpoints, and going on when a worker dies.

Ray is started inside this process (``ray.init()``), or joined (``--ray-address``, ``RAY_ADDRESS``). The training itself
is `worker.train`; this module gives it processes and a place, and brings back the best checkpoint.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from infolens.contract import Task
from training.errors import RunError, SettingError, TrainingError
from training.recipes.recipe import Recipe
from training.tracking.client import Tracking

from . import storage
from .failures import explained
from .jobs import Job, Outcome
from .prepared import Prepared
from .worker import STEPS_FOLDER, learning_of, train, train_in_ray

logger = logging.getLogger(__name__)

VARIABLE: Final = "RAY_ADDRESS"
"""Ray's own variable, which counts where no option names a cluster."""
LOCAL: Final = "local"
"""As an address: Ray on this machine, whatever the variable says."""
ROOMS: Final = ("training", "inspection", "reading", "clients/infolens")
"""What the workers of a cluster are sent, from the project's folder: this room and all that it imports."""


def run(
    task: Task,
    recipe: Recipe,
    prepared: Prepared,
    work: Path,
    *,
    ray_address: str = "",
    tracking: Tracking | None = None,
    run_id: str = "",
) -> Outcome:
    """Train what was prepared; a run that was cut off goes on from its last checkpoint in ``work`` or the storage.

    Args:
        task: What the model answers.
        recipe: How to train.
        prepared: What to train on.
        work: Folder of this run.
        ray_address: Of a Ray cluster; empty starts Ray in this process.
        tracking: Where metrics go while the run goes on.
        run_id: Of the MLflow run that they belong to.

    Raises:
        SettingError: The machine or cluster cannot give what the recipe asks for.
        StorageError: The storage cannot be written to.
        RunError: The run broke off.
    """
    job = Job.of(
        task,
        recipe,
        str(prepared.folder.resolve()),
        threads=recipe.cpus_per_worker,
        tracking=tracking.anywhere if tracking else None,
        run_id=run_id,
    )
    try:
        if not recipe.workers:
            return _in_this_process(job, prepared, work)
        return _on_ray(job, prepared, work, ray_address)
    except TrainingError:
        raise
    except Exception as error:
        raise explained(error, recipe, work) from error


def _in_this_process(job: Job, prepared: Prepared, work: Path) -> Outcome:
    import torch

    if job.recipe.precision == "fp16" and not torch.cuda.is_available():
        raise SettingError("precision=fp16 needs a GPU, and this machine has none: say bf16 or fp32")
    return train(replace(job, steps=str(work / STEPS_FOLDER / prepared.key)))


def _on_ray(job: Job, prepared: Prepared, work: Path, address: str) -> Outcome:
    recipe = job.recipe
    place = recipe.storage or str((work / "ray").resolve())
    if storage.is_url(place):
        storage.check_writable(place)
        job = replace(job, prepared=f"{place.rstrip('/')}/prepared-{prepared.key}")
        storage.upload(prepared.folder, job.prepared)
    start_ray(address, cpus=_cpus(recipe) * recipe.workers)
    from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    gpus = _gpus(recipe)
    if recipe.precision == "fp16" and not gpus:
        raise SettingError("precision=fp16 needs GPUs, and there are none here: say bf16 or fp32")
    learning = learning_of(job.task, recipe)
    filesystem, path = storage.resolve(place)
    trainer = TorchTrainer(
        train_in_ray,
        train_loop_config={"job": replace(job, threads=_cpus(recipe))},
        scaling_config=ScalingConfig(
            num_workers=recipe.workers,
            use_gpu=gpus > 0,
            resources_per_worker={"CPU": _cpus(recipe)} | ({"GPU": gpus} if gpus else {}),
        ),
        run_config=RunConfig(
            name=f"run-{prepared.key}",
            storage_path=path,
            storage_filesystem=filesystem,
            logging_config=LoggingConfig(log_level="WARNING"),
            failure_config=FailureConfig(max_failures=recipe.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=2,
                checkpoint_score_attribute=f"eval_{learning.score}",
                checkpoint_score_order="max" if learning.higher_is_better else "min",
            ),
        ),
    )
    result = trainer.fit()
    best = result.get_best_checkpoint(f"eval_{learning.score}", "max" if learning.higher_is_better else "min")
    best = best or result.checkpoint
    if best is None or result.return_value is None:
        raise RunError(f"the run ended without a checkpoint; what it left is in {place}")
    folder = work / "best"
    shutil.rmtree(folder, ignore_errors=True)
    best.to_directory(str(folder))
    outcome: Outcome = replace(result.return_value, checkpoint=folder)
    return outcome


def _cpus(recipe: Recipe) -> int:
    """Cores, and so threads, of a worker."""
    return recipe.cpus_per_worker or max(1, (os.cpu_count() or 1) // max(1, recipe.workers))


def _gpus(recipe: Recipe) -> float:
    if recipe.gpus_per_worker >= 0:
        return recipe.gpus_per_worker
    import ray

    return 1.0 if ray.cluster_resources().get("GPU", 0) >= recipe.workers else 0.0


def start_ray(address: str = "", *, cpus: int = 0) -> None:
    """Join a Ray cluster, or start Ray on this machine with room for ``cpus`` cores' worth of work.

    A Ray that this process has started or joined already is kept.

    Args:
        address: Of the cluster; empty for that of the variable RAY_ADDRESS, if it is set. ``local`` starts Ray here.
        cpus: Cores that the work takes.

    Raises:
        SettingError: No cluster answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # a worker waits for it at every checkpoint
    import ray

    if ray.is_initialized():
        return
    named_by = "--ray-address"
    if not address and (address := os.environ.get(VARIABLE, "")):
        named_by = VARIABLE
    if address in ("", LOCAL):
        ray.init(
            address=LOCAL,
            num_cpus=max(cpus, os.cpu_count() or 1),
            include_dashboard=False,
            configure_logging=False,
            runtime_env={"worker_process_setup_hook": quiet()},
        )
        return
    root = Path(__file__).parents[2]
    modules = [str(root / room) for room in ROOMS]
    try:
        ray.init(
            address=address,
            runtime_env={"py_modules": modules, "worker_process_setup_hook": quiet()},
            configure_logging=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingError(
            f"{named_by} {address}: no Ray cluster answers there ({reason}). Start one with 'ray start --head', or say "
            f"--ray-address {LOCAL} to train on this machine"
        ) from error


def quiet() -> Callable[[], None]:
    """A function that silences warnings and logs in Ray's processes which do not concern a user of ours.

    Ray runs it in each process before the search path is set, so it must be pickled by value; a function inside another
    one is.
    """

    def set_up() -> None:
        import logging
        import warnings

        warnings.simplefilter("ignore")
        # Asks every second for the dashboard's state API, which is not there.
        logging.getLogger("ray.train.v2._internal.execution.controller.placement_group_cleaner").setLevel(logging.ERROR)

    return set_up
