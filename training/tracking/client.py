"""MLflow: where runs are recorded, how a run is opened, and what is written to it.

Without ``--tracking-uri`` a SQLite file in ``mlruns/`` holds the runs, and their files lie beside it. A server that
stops answering does not stop a run: what it missed is sent at the end, or later with ``python -m training record``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from training.errors import TrackingError

logger = logging.getLogger(__name__)

NONE: Final = "none"
_FOLDER: Final = "mlruns"


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where runs are recorded."""

    uri: str = ""
    """URI of an MLflow server or database; empty: ``mlruns/mlflow.db`` in the current folder; ``none``: nowhere."""
    experiment: str = "infolens"

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded."""
        return self.uri != NONE

    @property
    def resolved(self) -> str:
        """The URI for MLflow."""
        return self.uri or f"sqlite:///{Path(_FOLDER).resolve() / 'mlflow.db'}"

    @property
    def anywhere(self) -> Tracking:
        """The same place for a process in another folder, as Ray's workers are."""
        return replace(self, uri=self.resolved)


def open_client(tracking: Tracking) -> Any:
    """An ``mlflow.MlflowClient`` whose server is known to answer.

    Raises:
        TrackingError: It does not.
    """
    # A server that is gone must cost seconds, not the minutes of MLflow's defaults.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    if not tracking.uri:
        Path(_FOLDER).mkdir(exist_ok=True)
    mlflow.set_tracking_uri(tracking.resolved)
    client = mlflow.MlflowClient(tracking.resolved)
    try:
        if client.get_experiment_by_name(tracking.experiment) is None:
            place = None if tracking.uri else (Path(_FOLDER) / "artifacts").resolve().as_uri()
            client.create_experiment(tracking.experiment, artifact_location=place)
    except Exception as error:  # MLflow raises what its transports and databases raise
        raise TrackingError(
            f"--tracking-uri {tracking.resolved}: no MLflow server answers there ({first_line(error)}). Start one with "
            "'mlflow server', leave the option out to record in mlruns/, or say --tracking-uri none"
        ) from error
    return client


def open_run(client: Any, tracking: Tracking, name: str, *, tags: Mapping[str, str], run_id: str = "") -> str:
    """Open a run, or go on with ``run_id`` if the server still has it; returns its id.

    Raises:
        TrackingError: The server refuses.
    """
    from mlflow.exceptions import MlflowException

    if run_id:
        try:
            client.update_run(run_id, status="RUNNING")
        except MlflowException:
            logger.warning("MLflow has no run %s any more; opening another one", run_id)
        else:
            return run_id
    experiment = client.get_experiment_by_name(tracking.experiment)
    try:
        run = client.create_run(experiment.experiment_id, tags=dict(tags), run_name=name)
    except MlflowException as error:
        raise TrackingError(f"{tracking.resolved}: refuses a new run: {first_line(error)}") from error
    return str(run.info.run_id)


def log_params(client: Any, run_id: str, params: Mapping[str, Any]) -> None:
    """Record parameters once; MLflow takes at most 100 a call and refuses other values later."""
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    new = [Param(name, str(value)[:6000]) for name, value in params.items() if name not in known]
    for start in range(0, len(new), 100):
        client.log_batch(run_id, params=new[start : start + 100])


def log_history(client: Any, run_id: str, history: Iterable[Mapping[str, Any]]) -> None:
    """Record a trainer's log: each figure at its step."""
    metrics = [metric for entry in history for metric in _metrics(entry)]
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


@contextmanager
def system_metrics(run_id: str, *, every_s: float = 10.0) -> Iterator[None]:
    """Record CPU, memory, disk, network and GPU use of this machine while the block runs."""
    if not run_id:
        yield
        return
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, sampling_interval=every_s, samples_before_logging=1)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


_LEFT_OUT: Final = ("runtime", "per_second", "total_flos", "preparation_time")


def _metrics(entry: Mapping[str, Any]) -> list[Any]:
    import time

    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    result = []
    for name, value in entry.items():
        if name == "step" or not isinstance(value, int | float) or any(part in name for part in _LEFT_OUT):
            continue
        shown = (
            name.replace("eval_", "validation_") if name.startswith("eval_") else f"train_{name.removeprefix('train_')}"
        )
        result.append(Metric(shown, float(value), now, int(entry.get("step", 0))))
    return result


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a message of ours."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
