"""Record a checkpoint folder as an MLflow run: parameters, figures, pictures, data, the model, and the registry.

A run is opened when training begins, so that figures can be watched; `record` completes it from the folder alone, which
is why a server that was away can be told everything later.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from infolens.contract import CONTRACTS, AnswerKind, Task
from reading.reference import FILE as REFERENCE_FILE
from training.errors import TrackingError
from training.metrics.headline import DECIDING
from training.metrics.pictures import PLOTS
from training.models.architectures import labels_of, load_prepared
from training.quiet import mlflow_silenced
from training.recipes.recipe import Recipe

from . import about, summary_flavour
from .client import Tracking, first_line, log_params, open_client, open_run
from .ending import KILLED, end_run, honest_end
from .figures import Curves, final_figures, plain, send_figures
from .watching import announce

logger = logging.getLogger(__name__)

RUN_FILE: Final = "mlflow.json"
"""In a checkpoint folder: the run's id, and the version of the model when it is recorded."""
CHANGED: Final = "changed_settings"
"""The tag of a run that went on with other settings than it began with, which its parameters cannot say."""
HASH_DIGITS: Final = 12
"""As many digits of the hash of a split are the digest of its data set in MLflow."""
CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"

_EXAMPLE: Final = "The council voted on Tuesday to repair the old bridge over the harbour. Work begins in spring."


def open_folder_run(
    client: Any, tracking: Tracking, task: Task, recipe: Recipe, work: Path, *, name: str, key: str = ""
) -> str:
    """Open the run of a work folder, or go on with the one that it began with; returns the run's id.

    Args:
        client: An ``mlflow.MlflowClient``.
        tracking: Where the run is recorded.
        task: What the model answers.
        recipe: How it trains; what differs from when the run began is in its tag `CHANGED`.
        work: The folder of the run.
        name: Of a new run.
        key: Of what it trains on: with another one training begins anew, and so does the run.
    """
    file = work / RUN_FILE
    known = _known(file)
    if known.get("key", key) != key:
        end_run(client, known.pop("run_id", ""), KILLED)
    config = asdict(recipe)
    tags = {"task": task.value, "strategy": recipe.strategy, about.NOTE: about.begun(task, config)}
    run_id = open_run(client, tracking, name, tags=tags, run_id=known.get("run_id", ""))
    changed = log_params(client, run_id, about.parameters(task, config))
    if changed:
        client.set_tag(run_id, CHANGED, ", ".join(f"{setting}={value}" for setting, value in changed.items())[:5000])
    _keep(file, {"run_id": run_id, "key": key})
    announce(client, tracking, run_id)
    return run_id


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
        raise TrackingError(f"{tracking.shown}: {first_line(error)}") from error


def _record(client: Any, folder: Path, metrics: dict[str, Any], history: list[dict[str, Any]], to: Tracking) -> str:
    task = Task(metrics["task"])
    file = folder / RUN_FILE
    known = _known(file).get("run_id", "")
    run_id = open_run(client, to, folder.name, tags={"task": task.value}, run_id=known)
    _keep(file, {"run_id": run_id})
    with honest_end(client, run_id):
        version = _complete(client, run_id, folder, metrics, history)
    _keep(file, {"run_id": run_id, "version": version})
    logger.info("MLflow: run %s, model %s version %s is the %s", run_id, task.value, version, CHALLENGER)
    return version


def _known(file: Path) -> dict[str, str]:
    """What `RUN_FILE` says; empty where it is not there, or cannot be read, as after a disk was full."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _keep(file: Path, document: Mapping[str, str]) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(file)


def _complete(client: Any, run_id: str, folder: Path, metrics: dict[str, Any], history: list[dict[str, Any]]) -> str:
    """Send all that a run still lacks, and register its model; returns the model's version."""
    import mlflow

    task = Task(metrics["task"])
    config = metrics["config"]
    log_params(client, run_id, {**about.parameters(task, config), "parameters": metrics["parameters"]})
    Curves(client, run_id, constant_rate=config["lr_scheduler_type"] == "constant").send(history)
    send_figures(client, run_id, final_figures(metrics, history))
    client.set_tag(run_id, about.NOTE, about.finished(task, metrics))
    if commit := metrics["git_revision"].removesuffix("-dirty"):
        client.set_tag(run_id, "mlflow.source.git.commit", commit)
    for tag, origin in _origin(metrics).items():
        client.set_tag(run_id, tag, origin)
    log_data(client, run_id, str(config["data"]), metrics["data_hash"], metrics["articles"])
    for name in ("metrics.json", "history.json", "recipe.toml", REFERENCE_FILE):
        if name != REFERENCE_FILE or (folder / name).is_file():  # a folder of before has none
            client.log_artifact(run_id, str(folder / name))
    client.log_artifacts(run_id, str(folder / PLOTS), PLOTS)
    with mlflow.start_run(run_id=run_id):
        return _log_model(client, folder, task, metrics)


def log_data(client: Any, run_id: str, source: str, hashes: Mapping[str, str], rows: Mapping[str, int]) -> None:
    """Record the articles of a run: where they are, and by split their hash and how many there are."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, where = Path(source).name or "data", json.dumps({"uri": source})
    inputs = [
        DatasetInput(
            Dataset(name, digest[:HASH_DIGITS], "local", where, profile=json.dumps({"rows": rows[split]})),
            [InputTag("mlflow.data.context", split)],
        )
        for split, digest in hashes.items()
    ]
    client.log_inputs(run_id, inputs)


def _log_model(client: Any, folder: Path, task: Task, metrics: dict[str, Any]) -> str:
    """Log the model with signature and example, register it under the task's name and make it the challenger."""
    with mlflow_silenced():  # it warns about type hints and pinned requirements, and prints what it registers
        info = _LOG[CONTRACTS[task].answers](task, folder)
    version = str(info.registered_model_version)
    deciding = DECIDING[CONTRACTS[task].answers]  # the other figures stand in the run and its metrics.json
    for part, figures in (("test", metrics["test"]), ("baseline", metrics.get("baseline", {}).get("test", {}))):
        if (value := plain(figures).get(deciding)) is not None:
            client.set_model_version_tag(task.value, version, f"{part}_{deciding}", f"{value:.6f}")
    client.set_model_version_tag(task.value, version, "test_hash", metrics["data_hash"]["test"])
    for tag, origin in _origin(metrics).items():
        client.set_model_version_tag(task.value, version, tag, origin)
    client.update_model_version(task.value, version, about.of_version(task, metrics))
    if not client.get_registered_model(task.value).description:
        client.update_registered_model(task.value, about.of_model(task))
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


def _origin(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Tag -> what a model comes from: its code, its articles and its recipe."""
    return {
        "git_revision": metrics["git_revision"],
        "data_hash": metrics["data_hash"]["train"],
        "recipe_hash": metrics.get("recipe_hash", ""),
    }


def _read(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"{folder / name}: cannot be read; give a folder that 'fit' has written: {error}"
        ) from error
