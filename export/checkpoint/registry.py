"""Where a checkpoint lies, and where it comes from: a folder, the hub, or an MLflow model registry.

A registered model is ``models:/category@champion`` or ``models:/category/3``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from export.errors import CheckpointError
from export.lineage import METRICS_FILE, RECIPE_FILE, Lineage, Source, is_of_training, of_folder, of_tags, of_training
from export.reference import read_reference
from reading.reference import FILE as REFERENCE_FILE

SCHEME: Final = "models:/"
_DEFAULT_STORE: Final = Path("mlruns/mlflow.db")
"""Where ``python -m training fit`` records runs unless it is told otherwise."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A checkpoint that `load_checkpoint` can read."""

    source: str
    """A folder, or a hub id."""
    lineage: Lineage
    reference: str = ""
    """The text of ``reference.json``, what its training articles were like; empty where it came without."""


@contextmanager
def checkpoint_found(source: str, *, tracking_uri: str = "") -> Iterator[Found]:
    """Where a checkpoint can be read, and where it comes from; what was downloaded is deleted at the end.

    Args:
        source: A checkpoint folder, a hub id, or a registered model.
        tracking_uri: The MLflow server or database; if empty, MLFLOW_TRACKING_URI, else ``mlruns/mlflow.db``.

    Raises:
        CheckpointError: The registry does not answer, or has no such model.
    """
    if source.startswith(SCHEME):
        with TemporaryDirectory() as place:
            yield _fetch(source, tracking_uri, Path(place))
    elif Path(source).is_dir():
        lineage = of_folder(Path(source))
        licence = "" if lineage.test else _licence(Path(source) / "README.md")
        reference = read_reference(Path(source))
        yield Found(source=source, lineage=replace(lineage, licence=licence), reference=reference)
    else:
        yield Found(source=source, lineage=Lineage(source=Source.HUB, base=source))


def with_hub(lineage: Lineage) -> Lineage:
    """The lineage of a checkpoint of the hub with its commit and licence, as far as the hub gave them.

    Args:
        lineage: Of any checkpoint that was loaded; one of elsewhere stays as it is.
    """
    if lineage.source is not Source.HUB:
        return lineage
    from transformers.utils import cached_file
    from transformers.utils.hub import extract_commit_hash

    leniently = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    try:
        loaded = cached_file(lineage.base, "config.json", local_files_only=True)
        revision = extract_commit_hash(loaded, None) or ""
        card = cached_file(lineage.base, "README.md", revision=revision or None, **leniently)
    except OSError:  # Both are good to know, and no reason to fail.
        return lineage
    return replace(lineage, base_revision=revision, licence=_licence(Path(card)) if card else "")


def _licence(card: Path) -> str:
    """The licence in the head of a card of the hub; empty where it names none."""
    from huggingface_hub import metadata_load

    try:
        found = (metadata_load(card) or {}).get("license", "") if card.is_file() else ""
    except Exception:  # It is YAML of any shape, by anybody.
        return ""
    return found if isinstance(found, str) else ""


def _fetch(source: str, tracking_uri: str, place: Path) -> Found:
    import logging
    import os

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each of three downloads
    try:
        import mlflow
    except ImportError as error:
        raise CheckpointError(f"{source}: a model registry needs the package mlflow: pip install mlflow") from error
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    store = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not store:
        if not _DEFAULT_STORE.exists():
            raise CheckpointError(
                f"{source}: {_DEFAULT_STORE} is not here; name the MLflow server with --tracking-uri, or start where "
                "'python -m training fit' ran"
            )
        store = f"sqlite:///{_DEFAULT_STORE.resolve()}"
    mlflow.set_tracking_uri(store)
    try:
        client = mlflow.MlflowClient(tracking_uri=store)
        which, known, tags = _version(client, source)
        lineage = _lineage(client, known, tags, place / "run")
        found = Path(mlflow.artifacts.download_artifacts(which, dst_path=str(place), tracking_uri=store))
    except Exception as error:  # MLflow passes on whatever its transports and stores raise.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{source}: {store} does not give it: {reason}. Write models:/NAME@ALIAS, such as "
            "models:/category@champion (python -m training promote category), or models:/NAME/VERSION"
        ) from error
    model = found / "model"
    if not (model / "config.json").is_file():
        raise CheckpointError(f"{source}: is no transformers model: it has no model/config.json")
    tokenizer = found / "components" / "tokenizer"
    for file in tokenizer.iterdir() if tokenizer.is_dir() else ():
        file.replace(model / file.name)  # MLflow stores the tokenizer apart; a checkpoint has both in one folder.
    return Found(source=str(model), lineage=lineage, reference=read_reference(place / "run"))


def _version(client: Any, source: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """The model that a source names now: its address without an alias, which may move, what is known, and its tags."""
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    named = get_model_name_and_version(client, source)
    if len(named) == 1:  # ``models:/m-1f0c...``: a logged model, which need not be registered
        logged = client.get_logged_model(named[0])
        return source, {"run_id": str(logged.source_run_id or "")}, dict(logged.tags or {})
    name, number = named
    found = client.get_model_version(name, str(number))
    known = {"registered_model": name, "registered_version": str(number), "run_id": str(found.run_id or "")}
    return f"{SCHEME}{name}/{number}", known, dict(found.tags or {})


def _lineage(client: Any, known: dict[str, str], tags: dict[str, str], place: Path) -> Lineage:
    """The lineage by the files of the run, and by the tags of the version where the run has none or is deleted."""
    from mlflow.exceptions import MlflowException

    run_id, files = known["run_id"], set()
    try:
        files = {item.path for item in client.list_artifacts(run_id)} if run_id else set()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    place.mkdir()
    here = {
        name: Path(client.download_artifacts(run_id, name, str(place)))
        for name in (METRICS_FILE, RECIPE_FILE, REFERENCE_FILE)
        if name in files
    }
    if METRICS_FILE in here:
        metrics = json.loads(here[METRICS_FILE].read_text(encoding="utf-8"))
        if is_of_training(metrics):
            recipe = here[RECIPE_FILE].read_bytes() if RECIPE_FILE in here else None
            return of_training(metrics, recipe, Source.REGISTRY, **known)
    return of_tags(tags, **known)
