"""MLflow: where runs are recorded, how a run is opened, and what is written to it.

Where neither ``--tracking-uri`` nor ``MLFLOW_TRACKING_URI`` names a store, a SQLite file in ``mlruns/`` holds the runs,
and their files lie beside it. A server that stops answering does not stop a run: what it missed is sent at the end, or
later with ``python -m training record``.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from training.errors import TrackingError

from .about import EXPERIMENT_TAGS, run_tags
from .database import SQLITE, check_file, make_whole

logger = logging.getLogger(__name__)

NONE: Final = "none"
VARIABLE: Final = "MLFLOW_TRACKING_URI"
"""MLflow's own variable, which counts where no option names a store."""
REASON: Final = "reason"
"""The tag of a run that failed: why; it goes when the run goes on."""
WORKED_S: Final = "worked_s"
"""The tag of a run: seconds of work on it, its sessions added up where it was interrupted."""
_FOLDER: Final = "mlruns"


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Where runs are recorded."""

    uri: str = ""
    """URI of an MLflow server or database; empty: ``mlruns/mlflow.db`` in the current folder; ``none``: nowhere."""
    experiment: str = "infolens"
    named_by: str = "--tracking-uri"
    """What named the URI, for messages: the option or `VARIABLE`; empty where nothing did."""

    @classmethod
    def named(cls, option: str, *, experiment: str) -> Tracking:
        """What a command line says: the option, or else `VARIABLE`, or else the default; as it means it `anywhere`."""
        variable = "" if option else os.environ.get(VARIABLE, "")
        named_by = "--tracking-uri" if option else VARIABLE if variable else ""
        return cls(uri=option or variable, experiment=experiment, named_by=named_by).anywhere

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded."""
        return self.uri != NONE

    @property
    def resolved(self) -> str:
        """The URI for MLflow, which means the same in every folder."""
        if not self.uri:
            return f"{SQLITE}{Path(_FOLDER).resolve() / 'mlflow.db'}"
        path = self.uri.removeprefix(SQLITE)
        return self.uri if path in (self.uri, "", ":memory:") else f"{SQLITE}{Path(path).resolve()}"

    @property
    def shown(self) -> str:
        """The resolved URI for messages: without a password."""
        password = urlsplit(self.resolved).password
        return self.resolved.replace(f":{password}@", ":***@") if password else self.resolved

    @property
    def option(self) -> str:
        """What a command needs to find the same store, with a space before it; empty where it does so by itself."""
        needed = bool(self.uri) and self.named_by != VARIABLE and self.resolved != Tracking().resolved
        return f" --tracking-uri {shlex.quote(self.shown)}" if needed else ""

    @property
    def anywhere(self) -> Tracking:
        """The same place for a process in another folder, as Ray's workers are."""
        return replace(self, uri=self.resolved, named_by=self.named_by if self.uri else "")

    @property
    def file(self) -> Path | None:
        """The SQLite file that holds the runs; None for another database or a server."""
        path = self.resolved.removeprefix(SQLITE).partition("?")[0]
        return None if not self.resolved.startswith(SQLITE) or path in ("", ":memory:") else Path(path)


def open_client(tracking: Tracking, *, make_experiment: bool = True) -> Any:
    """An ``mlflow.MlflowClient`` whose server is known to answer.

    Args:
        tracking: Where the store is.
        make_experiment: Whether the experiment is made if the store has none of its name; who only reads leaves it out.

    Raises:
        TrackingError: It does not.
    """
    # A server that is gone must cost seconds, not the minutes of MLflow's defaults.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each small file
    # MLflow's own links go to a page about traces, and to stdout, where a command's result stands.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        check_file(tracking.resolved)
        if tracking.file:
            make_whole(tracking.file)
        mlflow.set_tracking_uri(tracking.resolved)
        client = mlflow.MlflowClient(tracking.resolved)
        if make_experiment:
            _open_experiment(client, tracking)
    except Exception as error:  # MLflow raises what its transports and databases raise
        raise TrackingError(_refusal(tracking, error)) from error
    return client


def _open_experiment(client: Any, tracking: Tracking) -> None:
    """Make the experiment that is named, or let one that others made say what its runs are."""
    experiment = client.get_experiment_by_name(tracking.experiment)
    if experiment is None:
        place = (tracking.file.parent / "artifacts").as_uri() if tracking.file else None
        client.create_experiment(tracking.experiment, artifact_location=place, tags=EXPERIMENT_TAGS)
        return
    for name, value in EXPERIMENT_TAGS.items():
        if name not in experiment.tags:
            client.set_experiment_tag(experiment.experiment_id, name, value)


def _refusal(tracking: Tracking, error: Exception) -> str:
    """Why a store cannot be opened, and what to do."""
    where, reason = f"{tracking.named_by} {tracking.shown}", first_line(error)
    out = "unset it" if tracking.named_by == VARIABLE else "leave it out"
    out += " to record in mlruns/, or say --tracking-uri none"
    path = tracking.uri.removeprefix("file://")
    if not (tracking.uri and tracking.named_by):
        return (
            f"{Path(tracking.resolved.removeprefix(SQLITE)).parent}: runs are recorded there, but it cannot be opened "
            f"({reason}). Start where it can be written, name another store with --tracking-uri, or say "
            "--tracking-uri none"
        )
    if "://" not in path:
        return (
            f"{where}: MLflow keeps runs on a server or in a database, no more in a folder of files. Say "
            f"--tracking-uri {SQLITE}{Path(path).resolve() / 'mlflow.db'}, {out}"
        )
    if tracking.uri.startswith("sqlite:"):
        return f"{where}: the database cannot be opened ({reason}). Name a file that can be written, {out}"
    return f"{where}: no MLflow server answers there ({reason}). Start one with 'mlflow server', {out}"


def open_run(client: Any, tracking: Tracking, name: str, *, tags: Mapping[str, str], run_id: str = "") -> str:
    """Open a run, or go on with ``run_id`` if the server still has it; returns its id.

    A new run says who started it and with which command (`about.run_tags`); ``tags`` count before these.

    Raises:
        TrackingError: The server refuses.
    """
    from mlflow.exceptions import MlflowException

    if run_id:
        try:
            client.update_run(run_id, status="RUNNING")
            if REASON in client.get_run(run_id).data.tags:
                client.delete_tag(run_id, REASON)
        except MlflowException:
            logger.warning("MLflow has no run %s any more; opening another one", run_id)
        else:
            return run_id
    experiment = client.get_experiment_by_name(tracking.experiment)
    try:
        run = client.create_run(experiment.experiment_id, tags={**run_tags(), **tags}, run_name=name)
    except MlflowException as error:
        raise TrackingError(f"{tracking.shown}: refuses a new run: {first_line(error)}") from error
    return str(run.info.run_id)


def log_params(client: Any, run_id: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Record parameters once; MLflow takes at most 100 a call and refuses other values later.

    Returns:
        Those that the run has with another value, which stays.
    """
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    wanted = {name: str(value)[:6000] for name, value in params.items()}
    new = [Param(name, value) for name, value in wanted.items() if name not in known]
    for start in range(0, len(new), 100):
        client.log_batch(run_id, params=new[start : start + 100])
    return {name: value for name, value in wanted.items() if known.get(name, value) != value}


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


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a message of ours."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
