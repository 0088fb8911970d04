"""Run a prepared job on Ray: workers, checkpoints, and going on when a worker dies.

Ray is started inside this process (``ray.init()``), or joined (``--ray-address``, ``RAY_ADDRESS``). The training itself
is `worker.train`; this module gives it processes and a place, and brings back the best checkpoint.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

from infolens.contract import Task
from training import storage
from training.errors import DivergedError, RunError, SettingError, StorageError, TrainingError
from training.progress import bars, forwarding
from training.recipes.recipe import Recipe
from training.tracking.client import Tracking

from .failures import RAY, STEPS, explained, last_step, shortage, told_of_losses
from .jobs import Job, Outcome
from .prepared import Prepared
from .ray_session import interruptible, ray_ahead, ray_for
from .worker import Upload, learning_of, train, train_in_ray

logger = logging.getLogger(__name__)


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
    except Exception as error:
        if isinstance(error, TrainingError) and not isinstance(error, DivergedError):
            raise
        raise explained(error, recipe, work) from error


def ahead(recipe: Recipe, ray_address: str) -> AbstractContextManager[None]:
    """A block in which Ray, if the recipe has workers and no cluster is joined, starts while other things are done.

    Args:
        recipe: What `run` will get in the block.
        ray_address: The same.
    """
    if not recipe.workers:
        return nullcontext()
    return ray_ahead(ray_address, cpus=_cpus(recipe) * recipe.workers, trains=True)


def _in_this_process(job: Job, prepared: Prepared, work: Path) -> Outcome:
    import torch

    if job.recipe.precision == "fp16" and not torch.cuda.is_available():
        raise SettingError("precision=fp16 needs a GPU, and this machine has none: say bf16 or fp32")
    place = job.recipe.storage
    if not place:
        return train(replace(job, steps=str(work / STEPS / prepared.key)))
    kept = storage.run_folder(place, work, prepared.key)
    if not storage.is_url(place):
        return train(replace(job, steps=str(Path(kept).resolve())))
    storage.check_writable(place)
    steps = work / STEPS / prepared.key
    storage.fetch_checkpoints(kept, steps)
    return train(replace(job, steps=str(steps)), callbacks=(Upload(kept),))


def clear(recipe: Recipe, prepared: Prepared, work: Path) -> None:
    """Delete what a run that is over has kept in the recipe's storage: its checkpoints and what it was trained on.

    A place that refuses is said in the log and stops nothing.
    """
    if not recipe.storage:
        return
    kept = (
        storage.run_folder(recipe.storage, work, prepared.key),
        storage.prepared_folder(recipe.storage, work, prepared.key),
    )
    try:
        freed = sum(storage.remove(place) for place in kept)
    except (OSError, StorageError) as error:
        logger.warning("%s and %s are no longer needed, but cannot be deleted: %s", *kept, error)
        return
    logger.info("%s: deleted what the run had kept there (%s)", recipe.storage, storage.in_bytes(freed))


def _on_ray(job: Job, prepared: Prepared, work: Path, address: str) -> Outcome:
    recipe = job.recipe
    place = recipe.storage or str((work / RAY).resolve())
    if storage.is_url(place):
        storage.check_writable(place)
        job = replace(job, prepared=storage.prepared_folder(place, work, prepared.key))
        storage.upload(prepared.folder, job.prepared)
    with ray_for(address, cpus=_cpus(recipe) * recipe.workers) as started:
        return _fit(replace(job, threads=_cpus(recipe)), prepared, work, place, grows=not started)


def _fit(job: Job, prepared: Prepared, work: Path, place: str, *, grows: bool) -> Outcome:
    from ray.train import CheckpointConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig

    recipe = job.recipe
    gpus = _gpus(recipe)
    if recipe.precision == "fp16" and not gpus:
        raise SettingError("precision=fp16 needs GPUs, and there are none here: say bf16 or fp32")
    asked = {"CPU": _cpus(recipe)} | ({"GPU": gpus} if gpus else {})
    short = shortage(asked, recipe.workers)
    if short and not grows:
        raise SettingError(f"{short}. Lower workers, cpus_per_worker or gpus_per_worker, or join a cluster")
    if short:
        logger.warning("%s. Waiting up to %d minutes for the cluster to grow", short, _PATIENCE * 30 // 60)
    learning = learning_of(job.task, recipe)
    filesystem, path = storage.resolve(place)
    trainer = interruptible(
        train_in_ray,
        ours=not grows,
        train_loop_config={
            "job": replace(job, relay=forwarding.install() and bars.draws_bar()),
            "sent_s": time.time(),
        },
        scaling_config=ScalingConfig(
            num_workers=recipe.workers,
            use_gpu=gpus > 0,
            resources_per_worker=asked,
        ),
        run_config=RunConfig(
            name=Path(storage.run_folder(place, work, prepared.key)).name,
            storage_path=path,
            storage_filesystem=filesystem,
            logging_config=LoggingConfig(log_level="WARNING"),
            failure_config=FailureConfig(
                max_failures=recipe.max_failures, controller_failure_limit=_PATIENCE if short else -1
            ),
            callbacks=[told_of_losses(recipe.max_failures + 1, last_step(recipe, work, prepared.key))],
            checkpoint_config=CheckpointConfig(
                num_to_keep=1,  # the best one; Ray keeps the newest one besides
                checkpoint_score_attribute=f"eval_{learning.score}",
                checkpoint_score_order="max" if learning.higher_is_better else "min",
            ),
        ),
    )
    try:
        with forwarding.drawn():
            result = trainer.fit()
    except Exception as error:
        if short and type(getattr(error, "controller_failure", None)).__name__ == "WorkerGroupStartupTimeoutError":
            raise SettingError(
                f"{short}. Start more nodes, or lower workers, cpus_per_worker or gpus_per_worker"
            ) from error
        raise
    if isinstance(result.return_value, DivergedError):
        raise result.return_value
    best = result.get_best_checkpoint(f"eval_{learning.score}", "max" if learning.higher_is_better else "min")
    best = best or result.checkpoint
    if best is None or result.return_value is None:
        raise RunError(f"the run ended without a checkpoint; what it left is in {place}")
    folder = Path(best.path)
    if storage.is_url(place):
        folder = work / "best"
        storage.download(best.filesystem, best.path, folder, without="optimizer")
    outcome: Outcome = replace(result.return_value, checkpoint=folder)
    return outcome


_PATIENCE: Final = 20
"""How often Ray waits half a minute for a cluster that is too small."""


def _cpus(recipe: Recipe) -> int:
    """Cores, and so threads, of a worker."""
    return recipe.cpus_per_worker or max(1, (os.cpu_count() or 1) // max(1, recipe.workers))


def _gpus(recipe: Recipe) -> float:
    if recipe.gpus_per_worker >= 0:
        return recipe.gpus_per_worker
    import ray

    return 1.0 if ray.cluster_resources().get("GPU", 0) >= recipe.workers else 0.0
