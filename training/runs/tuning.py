"""Search for good settings with Ray Tune: random samples, and ASHA, which stops the poor ones early (Li et al., 2020).

Every trial trains on the same prepared articles, in a process of its own, and is a nested run in MLflow. A search that
was cut off goes on with the same command.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from transformers import TrainerCallback

from infolens.contract import Task
from training.errors import RunError
from training.loop.cluster import start_ray
from training.loop.jobs import Job
from training.loop.worker import learning_of, train
from training.recipes.recipe import Recipe
from training.recipes.settings import replace_fields, to_toml
from training.tracking.client import Tracking, log_params, open_client, open_run

from .fitting import load_data, prepare
from .output import remember, write_whole

logger = logging.getLogger(__name__)


TUNED: Final = ("learning_rate", "per_device_train_batch_size", "optim", "warmup_ratio", "weight_decay")
"""What a search varies."""


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


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best trial."""

    recipe: Recipe
    score: float
    trials: int
    stopped_early: int


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What all trials of a search have in common; it travels to their processes."""

    job: Job
    parent_run: str
    """The MLflow run of the search; empty where nothing is recorded."""
    measurements: int
    """How often a trial is measured."""
    score: str
    """The validation figure that is searched for."""


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


def tune_recipe(
    task: Task, recipe: Recipe, out: Path, search: Search, *, tracking: Tracking, ray_address: str = ""
) -> Found:
    """Search; writes ``best.toml`` and ``trials.json`` into ``out``, and the trials' folders below it.

    Args:
        task: What the model answers.
        recipe: Where the search begins; what it does not vary stays as it is here.
        out: The search's folder; an earlier search with the same settings in it goes on.
        search: What is searched, and for how long.
        tracking: Where the trials are recorded.
        ray_address: Of a Ray cluster; empty starts Ray on this machine.

    Raises:
        SettingError: ``out`` holds another search.
        RunError: No trial came to a measurement.
        TrainingError: The data, the base or the settings do not fit.
    """
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    client = open_client(tracking) if tracking.enabled else None
    settings = {"task": task.value, "recipe": asdict(recipe), "search": asdict(search)}
    remember(out / "search.json", settings, "a search with other settings")
    prepared = prepare(task, recipe, load_data(task, recipe), out)
    learning = learning_of(task, recipe)
    cores = max(1, (os.cpu_count() or 1) // search.concurrent)
    cores = recipe.cpus_per_worker or cores
    start_ray(ray_address, cpus=cores * search.concurrent)
    job = Job.of(
        task,
        replace(recipe, strategy="single", workers=0),
        str(prepared.folder.resolve()),
        threads=cores,
        tracking=tracking.anywhere if client else None,
    )
    run_id = _parent_run(client, tracking, task, recipe, out) if client else ""
    plan = Trials(job=job, parent_run=run_id, measurements=search.measurements, score=learning.score)
    name, place = "trials", str(out.resolve())
    trainable = tune.with_resources(tune.with_parameters(run_trial, plan=plan), {"cpu": cores, "gpu": _gpus()})
    mode = "max" if learning.higher_is_better else "min"
    config = tune.TuneConfig(
        metric="score",
        mode=mode,
        num_samples=search.samples,
        scheduler=ASHAScheduler(
            time_attr="measurement",
            max_t=search.measurements,
            grace_period=search.grace,
            reduction_factor=search.reduction,
        ),
        search_alg=tune.search.BasicVariantGenerator(random_state=search.seed, max_concurrent=search.concurrent),
        reuse_actors=False,
    )
    if tune.Tuner.can_restore(f"{place}/{name}"):
        logger.info("going on with the search in %s", out)
        tuner = tune.Tuner.restore(f"{place}/{name}", trainable, resume_unfinished=True, restart_errored=True)
    else:
        run_config = tune.RunConfig(
            name=name,
            storage_path=place,
            verbose=0,
            callbacks=[_progress()],
            failure_config=tune.FailureConfig(max_failures=1),
        )
        tuner = tune.Tuner(trainable, param_space=space(recipe, search), tune_config=config, run_config=run_config)
    results = tuner.fit()
    return _report(task, recipe, out, results, search, mode, learning.score, client, run_id)


def run_trial(config: Mapping[str, Any], *, plan: Trials) -> None:
    """One trial, in a process of Ray Tune's: train, and report each measurement.

    Args:
        config: The trial's value of each setting of `TUNED`.
        plan: What all trials have in common.
    """
    from ray import tune

    job = plan.job
    task, tracking = job.task, job.tracking
    steps = Path(tune.get_context().get_trial_dir()) / "steps"
    changed = {name: config[name] for name in TUNED}
    client, run_id = None, ""
    if tracking is not None:
        client = open_client(tracking)
        tags = {"task": task.value, "mlflow.parentRunId": plan.parent_run}
        file = steps.parent / "run_id"
        known = file.read_text(encoding="utf-8") if file.exists() else ""
        run_id = open_run(client, tracking, tune.get_context().get_trial_name(), tags=tags, run_id=known)
        file.write_text(run_id, encoding="utf-8")
        log_params(client, run_id, changed)
    job = replace(job, recipe=replace_fields(job.recipe, changed), steps=str(steps), run_id=run_id)
    train(job, callbacks=(_ReportToTune(plan.measurements, plan.score),))
    if client is not None:
        client.set_terminated(run_id)


class _ReportToTune(TrainerCallback):
    """Has the model measured at even distances, and tells Tune the score each time."""

    def __init__(self, measurements: int, score: str) -> None:
        self.measurements, self.score = measurements, score

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        every = max(1, -(-state.max_steps // self.measurements))
        args.eval_strategy = args.save_strategy = "steps"
        state.eval_steps = state.save_steps = every

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        from ray import tune

        found = [entry for entry in state.log_history if f"eval_{self.score}" in entry][-1]
        every = state.save_steps
        tune.report(
            {
                "score": found[f"eval_{self.score}"],
                "loss": found["eval_loss"],
                "measurement": -(-state.global_step // every),
                "step": state.global_step,
            }
        )


def _progress() -> Any:
    """Ray Tune's callback that says how the trials do."""
    from ray.tune import Callback

    class Progress(Callback):
        def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
            ended = sum(other.is_finished() for other in trials)
            logger.info(
                "trial %s: score %.4f after %d steps (%d of %d trials ended)",
                trial.trial_id, result["score"], result["step"], ended, len(trials),
            )  # fmt: skip

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            logger.warning("trial %s failed: see %s", trial.trial_id, trial.local_path)

    return Progress()


def _gpus() -> float:
    import ray

    return 1.0 if ray.cluster_resources().get("GPU", 0) else 0.0


def _parent_run(client: Any, tracking: Tracking, task: Task, recipe: Recipe, out: Path) -> str:
    file = out / "run_id"
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    run_id = open_run(client, tracking, f"tune {out.name}", tags={"task": task.value}, run_id=known)
    log_params(client, run_id, {"task": task.value, **asdict(recipe)})
    file.write_text(run_id, encoding="utf-8")
    return run_id


def _report(
    task: Task, recipe: Recipe, out: Path, results: Any, search: Search, mode: str, score: str, client: Any, run_id: str
) -> Found:
    trials = [
        {
            **{name: result.config[name] for name in TUNED},
            "score": result.metrics.get("score"),
            "loss": result.metrics.get("loss"),
            "measurements": result.metrics.get("measurement"),
            "error": str(result.error).strip().splitlines()[-1] if result.error else None,
        }
        for result in results
        if result.config
    ]
    measured = [trial for trial in trials if trial["score"] is not None]
    if not measured:
        errors = {str(trial["error"]) for trial in trials if trial["error"]}
        raise RunError(f"no trial came to a measurement: {'; '.join(sorted(errors)) or 'see ' + str(out)}")
    measured.sort(key=lambda trial: trial["score"], reverse=mode == "max")
    best = measured[0]
    found = replace(recipe, **{name: best[name] for name in TUNED})
    write_whole(out / "trials.json", json.dumps(measured, indent=2) + "\n")
    write_whole(out / "best.toml", to_toml(found, task))
    if client:
        client.log_metric(run_id, f"best_{score}", best["score"])
        client.log_artifact(run_id, str(out / "best.toml"))
        client.log_artifact(run_id, str(out / "trials.json"))
        client.set_terminated(run_id)
    stopped = sum((trial["measurements"] or 0) < search.measurements for trial in measured)
    return Found(recipe=found, score=float(best["score"]), trials=len(trials), stopped_early=stopped)
