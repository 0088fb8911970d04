"""The figures of a run in MLflow while it goes on."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from transformers import TrainerCallback

from training.errors import TrackingError

from .client import Tracking, first_line, open_client
from .figures import TIME, Curves

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 30.0
"""How long a server is left alone that did not answer; twice as long after each further time."""


class LiveMetrics(TrainerCallback):
    """Sends the trainer's log to MLflow as it grows.

    Training never waits for long: what a server that is away misses is kept, and sent when it answers again. What is
    left at the end, whoever records the checkpoint sends.
    """

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        self.curves: Curves | None = None
        self._waiting: list[dict[str, Any]] = []
        self._pause_s = 0.0
        self._next_try = 0.0
        try:
            self.curves = Curves(open_client(tracking), run_id)
        except TrackingError as error:
            logger.warning("%s; the run goes on without it", error)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See whether the learning rate is worth a curve."""
        if self.curves is not None:
            self.curves.constant_rate = args.lr_scheduler_type == "constant"

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Send what was logged, and what is left from before."""
        if state.is_world_process_zero and logs and self.curves is not None:
            self._waiting.append({**logs, "step": state.global_step, TIME: int(time.time() * 1000)})
            if time.monotonic() >= self._next_try:
                self._send(self.curves)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Try once more to send what is left."""
        if self._waiting and self.curves is not None:
            self._send(self.curves)

    def _send(self, curves: Curves) -> None:
        try:
            curves.send(self._waiting)
        except Exception as error:  # MLflow raises what its transports and stores raise
            if not self._pause_s:
                logger.warning("MLflow does not answer (%s); the run goes on, and tries again", first_line(error))
            self._pause_s = max(_FIRST_PAUSE_S, 2 * self._pause_s)
            self._next_try = time.monotonic() + self._pause_s
        else:
            if self._pause_s:
                logger.info("MLflow answers again")
            self._waiting.clear()
            self._pause_s = self._next_try = 0.0
