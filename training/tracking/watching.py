"""Where a person sees a run: the page of a server, or the command that shows a file of runs."""

from __future__ import annotations

import logging
import shlex
from typing import Any, Final
from urllib.parse import urlsplit

from .client import Tracking

logger = logging.getLogger(__name__)

_TRAINING: Final = "workflowType=machine_learning"
"""Without it MLflow's page opens on what belongs to traces, of which there are none."""
_LOCAL: Final = "http://127.0.0.1:5000"
"""Where ``mlflow ui`` listens."""


def where_to_watch(tracking: Tracking, experiment_id: str, run_id: str) -> str:
    """The address of a run's page; for a store that is no server, after the command that serves it."""
    page = f"#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"
    parts = urlsplit(tracking.resolved)
    if parts.scheme in {"http", "https"}:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/{page}"
    return f"python -m mlflow ui --backend-store-uri {shlex.quote(tracking.shown)} shows it at {_LOCAL}/{page}"


def announce(client: Any, tracking: Tracking, run_id: str) -> None:
    """Say in the log where a run can be seen."""
    experiment_id = client.get_run(run_id).info.experiment_id
    logger.info("MLflow: %s", where_to_watch(tracking, experiment_id, run_id))
