"""The progress of a training: its loss from the first step on, its rate, the time left, and each measurement."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from transformers import TrainerCallback

from .bars import Display, Progress

logger = logging.getLogger(__name__)

_MEASURED: Final = {"eval_loss": "loss", "eval_accuracy": "accuracy", "eval_macro_f1": "macro-F1"}


class StepProgress(TrainerCallback):
    """Shows how far the first worker is.

    Args:
        articles: Articles in a step, over all workers.
        shown_by: What shows it.
        loss: Takes how many steps are done, and gives the mean loss of those since its last call; waits for the GPU.
    """

    def __init__(self, articles: int, shown_by: Display, loss: Callable[[int], float | None]) -> None:
        self.articles, self.shown_by, self.loss = articles, shown_by, loss
        self.progress: Progress | None = None
        self.batches = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The clock starts, and the steps are counted from here, where a run goes on."""
        self.loss(state.global_step)
        self.progress = Progress(
            "training",
            state.max_steps,
            sentence="step {done} of {total}",
            weight=self.articles,
            done=state.global_step,
            shown_by=self.shown_by,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A step is done."""
        if self.progress is not None:
            figures = ""
            if self.progress.due(state.global_step) and (loss := self.loss(state.global_step)) is not None:
                figures = f"loss {loss:.4g}"
            self.progress.to(state.global_step, figures)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A batch of the validation split is measured."""
        self.batches += 1
        loader = kwargs.get("eval_dataloader")
        if self.progress is not None and loader is not None and self.batches < len(loader):
            self.progress.to(state.global_step, f"measuring batch {self.batches} of {len(loader)}")

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """A measurement gets a line of its own."""
        self.batches = 0
        shown = {ours: logs[name] for name, ours in _MEASURED.items() if name in (logs or {})}
        if shown:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
            logger.info("step %d of %d: validation: %s", state.global_step, state.max_steps, figures)

    def close(self) -> None:
        """Take the bar away, however the training ended."""
        self.shown_by.close()
