"""MLflow: where runs are recorded, how a run is opened, and what is written to it.

Where neither ``--tracking-uri`` nor ``MLFLOW_TRACKING_URI`` names a store, a SQLite file in ``mlruns/`` holds the runs,
and their files lie beside it. A server that stops answering does not stop a run: what it missed is sent at the end, or
later with ``python -m training record``.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from training.errors import TrackingError

logger = logging.getLogger(__name__)

NONE: Final = "none"
VARIABLE: Final = "MLFLOW_TRACKING_URI"
"""MLflow's own variable, which counts where no option names a store."""
_FOLDER: Final = "mlruns"
_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where runs are recorded."""

    uri: str = ""
    """URI of an MLflow server or database; empty: ``mlruns/mlflow.db`` in the current folder; ``none``: nowhere."""
    experiment: str = "infolens"
    named_by: str = "--tracking-uri"
    """What named the URI, for messages: the option or `VARIABLE`."""

    @classmethod
    def named(cls, option: str, *, experiment: str) -> Tracking:
        """What a command line says: the option, or else `VARIABLE`, or else neither."""
        variable = "" if option else os.environ.get(VARIABLE, "")
        return cls(uri=option or variable, experiment=experiment, named_by=VARIABLE if variable else "--tracking-uri")

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded."""
        return self.uri != NONE

    @property
    def resolved(self) -> str:
        """The URI for MLflow, which means the same in every folder."""
        if not self.uri:
            return f"{_SQLITE}{Path(_FOLDER).resolve() / 'mlflow.db'}"
        path = self.uri.removeprefix(_SQLITE)
        return self.uri if path in (self.uri, "", ":memory:") else f"{_SQLITE}{Path(path).resolve()}"

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
    try:
        if not tracking.uri:
            Path(_FOLDER).mkdir(exist_ok=True)
        check_file(tracking.resolved)
        mlflow.set_tracking_uri(tracking.resolved)
        client = mlflow.MlflowClient(tracking.resolved)
        if client.get_experiment_by_name(tracking.experiment) is None:
            place = None if tracking.uri else (Path(_FOLDER) / "artifacts").resolve().as_uri()
            client.create_experiment(tracking.experiment, artifact_location=place)
    except Exception as error:  # MLflow raises what its transports and databases raise
        raise TrackingError(_refusal(tracking, error)) from error
    return client


def check_file(uri: str) -> None:
    """Open a SQLite file for writing: where that fails, MLflow would try again for a hundred seconds.

    Raises:
        OSError: Its folder cannot be made.
        sqlite3.Error: It cannot be written, or is no database.
    """
    path = uri.removeprefix(_SQLITE).partition("?")[0]
    if not uri.startswith(_SQLITE) or path in ("", ":memory:"):
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=20.0, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")


def _refusal(tracking: Tracking, error: Exception) -> str:
    """Why a store cannot be opened, and what to do."""
    where, reason = f"{tracking.named_by} {tracking.resolved}", first_line(error)
    out = "unset it" if tracking.named_by == VARIABLE else "leave it out"
    out += " to record in mlruns/, or say --tracking-uri none"
    path = tracking.uri.removeprefix("file://")
    if not tracking.uri:
        return (
            f"{Path(_FOLDER).resolve()}: runs are recorded there, but it cannot be opened ({reason}). Start where it "
            "can be written, name another store with --tracking-uri, or say --tracking-uri none"
        )
    if "://" not in path:
        return (
            f"{where}: MLflow keeps runs on a server or in a database, no more in a folder of files. Say "
            f"--tracking-uri {_SQLITE}{Path(path).resolve() / 'mlflow.db'}, {out}"
        )
    if tracking.uri.startswith("sqlite:"):
        return f"{where}: the database cannot be opened ({reason}). Name a file that can be written, {out}"
    return f"{where}: no MLflow server answers there ({reason}). Start one with 'mlflow server', {out}"


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
