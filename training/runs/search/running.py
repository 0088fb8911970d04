"""A search in Ray Tune: what it draws from, how it is started, and how it goes on."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.errors import SettingError
from training.recipes.recipe import Recipe

from .board import Board
from .nested import Nested
from .trial import Plan, folder_name, run_trial

logger = logging.getLogger(__name__)

_SETTINGS_OF_TUNE: Final = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours has it; see `watching.stops_softly`
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # files of figures, which trials.json and MLflow have
    "TUNE_GLOBAL_CHECKPOINT_S": "2",  # what a killed command knows of its trials is no older
    "RAY_AIR_NEW_OUTPUT": "0",  # its box is printed whatever `verbose` says
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # `watching.Watch` says them, in a line
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and for how long."""

    samples: int = 10
    """Trials."""
    concurrent: int = 1
    """Trials at a time; each takes its share of the machine's cores."""
    measurements: int = 4
    """How often a trial is measured on the validation split; after each, ASHA may stop it."""
    grace: int = 1
    """Measurements that every trial may make."""
    reduction: int = 2
    """One in this many of the trials that reach a measurement goes on."""
    learning_rate: tuple[float, float] = (1e-5, 1e-3)
    """The range of the rate, log-uniform; a recipe outside of it moves the range so that it lies in its middle."""
    seed: int = 0


def space(recipe: Recipe, search: Search) -> dict[str, Any]:
    """Ray Tune's search space around a recipe."""
    from ray import tune

    low, high = search.learning_rate
    if not low <= recipe.learning_rate <= high:
        low, high = recipe.learning_rate / 10, recipe.learning_rate * 10
    batch = recipe.per_device_train_batch_size
    return {
        "learning_rate": tune.loguniform(low, high),
        "per_device_train_batch_size": tune.choice(sorted({max(4, batch // 2), batch, batch * 2})),
        "optim": tune.choice(["adamw_torch", "adafactor", "sgd"]),
        "warmup_ratio": tune.uniform(0.0, 0.2),
        "weight_decay": tune.loguniform(1e-3, 1e-1),
    }


def run_search(recipe: Recipe, search: Search, board: Board, plan: Plan, nested: Nested, cores: int) -> None:
    """Run Ray Tune until all trials have ended, or it is stopped; leaves none of them open in MLflow.

    Args:
        recipe: Where the search begins.
        search: What is searched.
        board: What is known of the trials, and will be.
        plan: What the trials have in common.
        nested: Their runs.
        cores: Of a trial.

    Raises:
        SettingError: No machine has the cores that a trial asks for.
        KeyboardInterrupt: It was stopped.
    """
    from ray import tune

    from .halving import SCORE, Halving
    from .watching import Watch, stops_softly

    for name, value in _SETTINGS_OF_TUNE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what it says of trials, `Watch` says in fewer words
    gpus = _room(cores)
    trainable = tune.with_resources(tune.with_parameters(run_trial, plan=plan), {"cpu": cores, "gpu": gpus})
    watch = Watch(board, nested, Path(plan.folder))
    halving = Halving(board, measurements=search.measurements, grace=search.grace, reduction=search.reduction)
    place = Path(plan.folder)
    if tune.Tuner.can_restore(str(place)):
        logger.info("going on with the search in %s: %s", board.folder, board.told())
        tuner = tune.Tuner.restore(str(place), trainable, resume_unfinished=True, restart_errored=True)
    else:
        config = tune.TuneConfig(
            metric=SCORE,
            mode="max" if plan.higher_is_better else "min",
            num_samples=search.samples,
            scheduler=halving,
            search_alg=tune.search.BasicVariantGenerator(random_state=search.seed, max_concurrent=search.concurrent),
            reuse_actors=False,
            trial_dirname_creator=folder_name,
        )
        run_config = tune.RunConfig(
            name=place.name,
            storage_path=str(place.parent),
            verbose=0,
            callbacks=[watch],
            failure_config=tune.FailureConfig(max_failures=1),
        )
        tuner = tune.Tuner(trainable, param_space=space(recipe, search), tune_config=config, run_config=run_config)
    try:
        with stops_softly(watch):
            tuner.fit()
    finally:
        board.close()
        nested.end_open()


def _room(cores: int) -> float:
    """GPUs of a trial: one where there are any.

    Raises:
        SettingError: No machine has the cores of a trial, which would wait for ever.
    """
    import ray

    machines = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    if machines and 0 < max(machines) < cores:  # a cluster that has no machine yet may be about to get some
        raise SettingError(
            f"a trial asks for {cores} cores, and the largest machine of Ray has {max(machines):.0f}: lower "
            "cpus_per_worker, or raise --concurrent"
        )
    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0
