"""The trials of a search in MLflow: one run a trial, nested in the search's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from training.tracking.client import REASON, Tracking, first_line, log_params, open_run
from training.tracking.ending import KILLED, end_run

logger = logging.getLogger(__name__)

PARENT: Final = "mlflow.parentRunId"
NUMBER: Final = "trial"
"""The tag that a trial's run is found by."""
STOPPED_EARLY: Final = "stopped_early"
_OPEN: Final = ("RUNNING", "SCHEDULED")


@dataclass(kw_only=True)
class Nested:
    """The nested runs of a search; every method does nothing where nothing is recorded."""

    client: Any = field(repr=False)
    """An ``mlflow.MlflowClient``, or None."""
    tracking: Tracking
    parent: str
    """The search's own run."""

    def runs(self) -> dict[int, Any]:
        """Number of the trial -> its run."""
        if self.client is None:
            return {}
        experiment = self.client.get_experiment_by_name(self.tracking.experiment)
        query = f"tags.`{PARENT}` = '{self.parent}'"
        found = self.client.search_runs([experiment.experiment_id], query, max_results=1000)
        return {int(run.data.tags[NUMBER]): run for run in found if NUMBER in run.data.tags}

    def open(self, number: int, total: int, *, task: str, settings: Mapping[str, Any]) -> str:
        """Open a trial's run, or go on with the one that it has; returns its id.

        Raises:
            TrackingError: The server refuses.
        """
        known = self.runs().get(number)
        tags = {"task": task, PARENT: self.parent, NUMBER: str(number)}
        run_id = open_run(
            self.client,
            self.tracking,
            f"trial {number} of {total}",
            tags=tags,
            run_id=known.info.run_id if known else "",
        )
        for tag in (REASON, STOPPED_EARLY):  # of an earlier attempt
            if known and tag in known.data.tags:
                self.client.delete_tag(run_id, tag)
        log_params(self.client, run_id, settings)
        return run_id

    def end(
        self, number: int, status: str, *, tags: Mapping[str, str], metrics: Mapping[str, tuple[float, int]]
    ) -> None:
        """Close a trial's run with its last words: tags, and metrics by name, each with its step."""
        with _patience():
            run = self.runs().get(number)
            if run is None:
                return
            run_id = run.info.run_id
            for name, text in tags.items():
                self.client.set_tag(run_id, name, text[:5000])
            for name, (value, step) in metrics.items():
                self.client.log_metric(run_id, name, value, step=step)
            end_run(self.client, run_id, status)

    def end_open(self, status: str = KILLED) -> None:
        """Close every run that nobody has closed: its trial was stopped."""
        with _patience():
            for run in self.runs().values():
                if run.info.status in _OPEN:
                    end_run(self.client, run.info.run_id, status)

    def log_best(self, name: str, value: float, step: int) -> None:
        """Add a point to the curve of the best score in the search's own run."""
        if self.client is not None:
            with _patience():
                self.client.log_metric(self.parent, name, value, step=step)

    def tell(self, tag: str, text: str) -> None:
        """Set a tag of the search's own run."""
        if self.client is not None:
            with _patience():
                self.client.set_tag(self.parent, tag, text[:5000])

    def finish(self, files: Sequence[Path], note: str, *, worked_s: float) -> None:
        """Complete and close the search's own run: its files, what is shown above it (Markdown), its trials' time."""
        if self.client is not None:
            with _patience():
                for file in files:
                    self.client.log_artifact(self.parent, str(file))
                self.client.set_tag(self.parent, "mlflow.note.content", note[:5000])
            end_run(self.client, self.parent, "FINISHED", worked_s=worked_s)


@contextmanager
def _patience() -> Iterator[None]:
    """Say in the log that a server is away; that stops no search."""
    try:
        yield
    except Exception as error:  # MLflow raises what its transports and stores raise
        logger.warning("MLflow does not answer (%s); the search goes on without it", first_line(error))
