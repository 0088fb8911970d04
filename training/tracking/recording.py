"""Record a checkpoint folder as an MLflow run: parameters, figures, pictures, data, the model, and the registry.

A run is opened when training begins, so that figures can be watched; `record` completes it from the folder alone, which
is why a server that was away can be told everything later.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.errors import TrackingError
from training.metrics.pictures import PLOTS
from training.models.architectures import labels_of, load_prepared
from training.recipes.recipe import Recipe

from . import summary_flavour
from .client import Tracking, first_line, log_history, log_params, open_client, open_run

logger = logging.getLogger(__name__)

RUN_FILE: Final = "mlflow.json"
"""In a checkpoint folder: the run's id, and up to which step the server has its figures."""
CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"

_EXAMPLE: Final = "The council voted on Tuesday to repair the old bridge over the harbour. Work begins in spring."


def open_folder_run(client: Any, tracking: Tracking, task: Task, recipe: Recipe, work: Path, *, name: str) -> str:
    """Open the run of a work folder, or go on with the one that it began with; returns the run's id."""
    file = work / RUN_FILE
    known = json.loads(file.read_text(encoding="utf-8"))["run_id"] if file.exists() else ""
    tags = {"task": task.value, "strategy": recipe.strategy, "mlflow.note.content": _note(task, recipe)}
    run_id = open_run(client, tracking, name, tags=tags, run_id=known)
    log_params(client, run_id, {"task": task.value, **asdict(recipe)})
    file.write_text(json.dumps({"run_id": run_id}), encoding="utf-8")
    return run_id


def _note(task: Task, recipe: Recipe) -> str:
    """What MLflow shows above a run, for people."""
    how = "one process" if recipe.workers <= 1 else f"{recipe.workers} workers, {recipe.strategy.upper()}"
    kind = "a small model from scratch" if recipe.starter else f"`{recipe.base}`"
    return (
        f"**{task.value}**: {kind} on `{Path(recipe.data).name or recipe.data}`, {how}, {recipe.precision}, "
        f"{recipe.articles_per_step} articles a step."
    )


def record(folder: Path, tracking: Tracking) -> str:
    """Complete the run of a checkpoint folder in MLflow, and register its model as the challenger.

    Args:
        folder: What `fitting.fit` has written.
        tracking: Where to.

    Returns:
        The version of the registered model.

    Raises:
        TrackingError: The server does not answer or refuses; the folder is as it was, and this can be done again.
    """
    metrics = _read(folder, "metrics.json")
    history = _read(folder, "history.json")
    client = open_client(tracking)
    try:
        return _record(client, folder, metrics, history, tracking)
    except Exception as error:  # MLflow raises what its transports and stores raise
        raise TrackingError(f"{tracking.resolved}: {first_line(error)}") from error


def _record(client: Any, folder: Path, metrics: dict[str, Any], history: list[dict[str, Any]], to: Tracking) -> str:
    import mlflow
    from mlflow.entities import Dataset, DatasetInput, InputTag

    task = Task(metrics["task"])
    file = folder / RUN_FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    run_id = open_run(client, to, folder.name, tags={"task": task.value}, run_id=known.get("run_id", ""))
    sent = known.get("logged_step", 0) if run_id == known.get("run_id") else 0
    file.write_text(json.dumps({"run_id": run_id, "logged_step": sent}), encoding="utf-8")
    log_params(client, run_id, {"task": task.value, **metrics["config"], "parameters": metrics["parameters"]})
    log_history(client, run_id, [entry for entry in history if entry.get("step", 0) > sent])
    for split in ("test", "out_of_domain"):
        for name, value in _plain(metrics.get(split, {})).items():
            client.log_metric(run_id, f"{split}_{name}", value)
    for name, value in _plain(metrics.get("baseline", {}).get("test", {})).items():
        client.log_metric(run_id, f"baseline_{name}", value)
    for number, worker in enumerate(metrics["workers"]):
        client.log_metric(run_id, f"worker_{number}_peak_memory_mb", worker["peak_memory_bytes"] / 1e6)
    for tag, value in (("git_revision", metrics["git_revision"]), ("data_hash", metrics["data_hash"]["train"])):
        client.set_tag(run_id, tag, value)
    source = str(metrics["config"]["data"])
    inputs = [
        DatasetInput(
            Dataset(
                Path(source).name or "data",
                digest[:36],
                "local",
                json.dumps({"uri": source}),
                profile=json.dumps({"rows": metrics["articles"][split]}),
            ),
            [InputTag("mlflow.data.context", split)],
        )
        for split, digest in metrics["data_hash"].items()
    ]
    client.log_inputs(run_id, inputs)
    for name in ("metrics.json", "history.json", "recipe.toml"):
        client.log_artifact(run_id, str(folder / name))
    client.log_artifacts(run_id, str(folder / PLOTS), PLOTS)
    with mlflow.start_run(run_id=run_id):
        version = _log_model(client, folder, task, metrics)
    file.write_text(json.dumps({"run_id": run_id, "logged_step": 10**12, "version": version}), encoding="utf-8")
    logger.info("MLflow: run %s, model %s version %s is the %s", run_id, task.value, version, CHALLENGER)
    return version


def _log_model(client: Any, folder: Path, task: Task, metrics: dict[str, Any]) -> str:
    """Log the model with signature and example, register it under the task's name and make it the challenger."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about type hints and pinned requirements
        info = _LOG[CONTRACTS[task].answers](task, folder)
    version = str(info.registered_model_version)
    for name, value in _plain(metrics["test"]).items():
        client.set_model_version_tag(task.value, version, f"test_{name}", f"{value:.6f}")
    client.set_model_version_tag(task.value, version, "test_hash", metrics["data_hash"]["test"])
    client.set_registered_model_alias(task.value, CHALLENGER, version)
    return version


def _log_labels(task: Task, folder: Path) -> Any:
    import mlflow.transformers
    from mlflow.models import infer_signature

    # By its whole path: MLflow asks the hub for the card of what could be a model of that name there.
    model, tokenizer = load_prepared(task, folder.resolve())
    return mlflow.transformers.log_model(
        transformers_model={"model": model, "tokenizer": tokenizer},
        task="text-classification",
        signature=infer_signature(_EXAMPLE, {"label": labels_of(model)[0], "score": 0.9}),
        input_example=_EXAMPLE,
        pip_requirements=["transformers", "torch"],
        name="model",
        registered_model_name=task.value,
        await_registration_for=60,
    )


def _log_text(task: Task, folder: Path) -> Any:
    from mlflow.models import Model, infer_signature

    with TemporaryDirectory() as place:
        summary_flavour.write_checkpoint(Path(place), *load_prepared(task, folder))
        return Model.log(
            artifact_path=None,
            flavor=summary_flavour,
            checkpoint=Path(place),
            signature=infer_signature([_EXAMPLE], ["Work on the old bridge begins in spring."]),
            name="model",
            registered_model_name=task.value,
            await_registration_for=60,
        )


_LOG: Final = {AnswerKind.LABELS: _log_labels, AnswerKind.TEXT: _log_text}


def _plain(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float)}


def _read(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"{folder / name}: cannot be read; give a folder that 'fit' has written: {error}"
        ) from error
