"""The figures of a run in MLflow while it goes on."""

from __future__ import annotations

import logging
from typing import Any

from transformers import TrainerCallback

from training.errors import TrackingError

from .client import Tracking, first_line, log_history, open_client

logger = logging.getLogger(__name__)


class LiveMetrics(TrainerCallback):
    """Sends the trainer's log to MLflow as it grows; gives up for this run when the server stops answering."""

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        self.run_id = run_id
        self.logged_step: int = 0
        self.client: Any = None
        try:
            self.client = open_client(tracking)
        except TrackingError as error:
            logger.warning("%s; the run goes on without it", error)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Send what was logged."""
        if not (state.is_world_process_zero and logs and self.client):
            return
        try:
            log_history(self.client, self.run_id, [{**logs, "step": state.global_step}])
        except Exception as error:
            logger.warning("MLflow does not answer (%s); the run goes on without it", first_line(error))
            self.client = None
            return
        self.logged_step = state.global_step
