"""Checkpoints from an MLflow model registry: ``models:/category@champion`` and ``models:/category/3``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from export.errors import CheckpointError

SCHEME: Final = "models:/"
_DEFAULT_STORE: Final = Path("mlruns/mlflow.db")
"""Where ``python -m training fit`` records runs unless it is told otherwise."""


@contextmanager
def checkpoint_folder(source: str, *, tracking_uri: str = "") -> Iterator[str]:
    """A source that `load_checkpoint` can read: the folder of a downloaded registered model, or ``source`` itself.

    Args:
        source: A checkpoint folder, a hub id, or a registered model.
        tracking_uri: The MLflow server or database; if empty, MLFLOW_TRACKING_URI, else ``mlruns/mlflow.db``.

    Raises:
        CheckpointError: The registry does not answer, or has no such model.
    """
    if not source.startswith(SCHEME):
        yield source
        return
    with TemporaryDirectory() as place:
        yield str(_fetch(source, tracking_uri, Path(place)))


def _fetch(source: str, tracking_uri: str, place: Path) -> Path:
    import logging
    import os

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
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
        found = Path(mlflow.artifacts.download_artifacts(source, dst_path=str(place), tracking_uri=store))
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
    return model
