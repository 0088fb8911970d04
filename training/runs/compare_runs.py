"""A comparison in MLflow: a run for the whole, with the report as its files, and a nested run for each cell.

``mlflow.json`` in the comparison's folder says which runs these are, so that a comparison that was cut off goes on in
the same ones. A cell is kept whether MLflow takes it or not: what it did not take is sent with the report.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task
from training.errors import TrackingError
from training.recipes.recipe import Recipe
from training.tracking import about
from training.tracking.client import WORKED_S, Tracking, first_line, log_params, open_client, open_run
from training.tracking.ending import honest_end
from training.tracking.figures import send_figures
from training.tracking.recording import RUN_FILE
from training.tracking.watching import announce

from .output import write_whole

logger = logging.getLogger(__name__)

VARIED: Final = (
    *("workers", "strategy", "per_device_train_batch_size", "gradient_accumulation_steps", "precision"),
    "cpus_per_worker",
)
"""The settings in which the cells of a comparison differ."""
_COSTS: Final = ("train_s", "step_ms", "total_s", "speed_up", "efficiency")
_VALIDATION: Final = {"validation_loss": "loss", "accuracy": "accuracy", "macro_f1": "macro_f1"}
_FILES: Final = ("compare.md", "compare.json", "compare.png")


class ComparisonRuns:
    """The runs of one comparison; `recorded` opens them."""

    def __init__(self, task: Task, out: Path, tracking: Tracking, client: Any, run_id: str) -> None:
        self.task, self.out, self.tracking, self.client, self.run_id = task, out, tracking, client, run_id
        kept = _kept(out)
        self.cells: dict[str, dict[str, Any]] = kept["cells"] if kept.get("run_id") == run_id else {}
        """Name -> ``run_id`` of each cell's run, and whether it is ``done``."""

    @contextmanager
    def cell(self, name: str, recipe: Recipe) -> Iterator[str]:
        """Open the nested run of a cell, or go on with it; gives its id, which is empty where there is none.

        The run ends as killed or failed if the block does; one that ends well is completed by `complete`.
        """
        run_id = ""
        if self.client is not None:
            try:
                run_id = self._open(name, asdict(recipe))
            except Exception as error:  # MLflow raises what its transports and stores raise
                logger.warning(
                    "MLflow does not take the run of %s (%s); it is sent at the end", name, first_line(error)
                )
        with honest_end(self.client, run_id):
            yield run_id

    def complete(self, name: str, cell: Mapping[str, Any]) -> None:
        """End the run of a cell that is done with its figures; what MLflow does not take is sent by `finish`.

        Args:
            name: The cell's.
            cell: What its file in ``cells/`` holds.
        """
        if self.client is None:
            return
        try:
            self._complete(name, cell)
        except Exception as error:  # MLflow raises what its transports and stores raise
            logger.warning("MLflow does not take the run of %s (%s): sent at the end", name, first_line(error))

    def finish(self, report: Mapping[str, Any], *, worked_s: float) -> None:
        """Send the report and all cells that MLflow lacks, and end the run.

        Args:
            report: Of the comparison, whose files are written.
            worked_s: How long it was worked on.

        Raises:
            TrackingError: MLflow does not take them; the comparison is whole, and the same command sends them.
        """
        if self.client is None:
            return
        try:
            for name, cell in report["cells"].items():
                self._complete(name, cell)
            for name in _FILES:
                self.client.log_artifact(self.run_id, str(self.out / name))
            note = f"{_note(self.task, report['recipe'])}\n\n{_table(report)}"
            self.client.set_tag(self.run_id, about.NOTE, note)
            self.client.set_terminated(self.run_id)
            self.client.set_tag(self.run_id, WORKED_S, f"{worked_s:.1f}")
        except Exception as error:  # MLflow raises what its transports and stores raise
            raise TrackingError(
                f"the comparison is whole, in {self.out}, but MLflow did not take it: {first_line(error)}. The same "
                "command sends it again"
            ) from error

    def _open(self, name: str, settings: Mapping[str, Any]) -> str:
        kept = self.cells.get(name, {})
        tags = {"task": self.task.value, "cell": name, "mlflow.parentRunId": self.run_id}
        run_id = open_run(self.client, self.tracking, name, tags=tags, run_id=kept.get("run_id", ""))
        log_params(self.client, run_id, {setting: settings[setting] for setting in VARIED if setting in settings})
        self._keep(name, run_id, done=False)
        return run_id

    def _complete(self, name: str, cell: Mapping[str, Any]) -> None:
        kept = self.cells.get(name, {})
        run_id = kept.get("run_id") or self._open(name, cell)
        figures = {f"cost/{figure}": float(cell[figure]) for figure in _COSTS if figure in cell}
        figures["cost/peak_memory_mb"] = cell["peak_memory_bytes"] / 1e6
        known = self.client.get_run(run_id).data.metrics
        for figure, score in _VALIDATION.items():  # they are there unless MLflow was away while the cell was trained
            if cell[figure] is not None and f"validation/{score}" not in known:
                figures[f"validation/{score}"] = float(cell[figure])
        send_figures(self.client, run_id, figures)
        if not kept.get("done"):
            self.client.set_terminated(run_id)
            self._keep(name, run_id, done=True)

    def _keep(self, name: str, run_id: str, *, done: bool) -> None:
        self.cells[name] = {"run_id": run_id, "done": done}
        self.keep()

    def keep(self) -> None:
        """Note in the comparison's folder which runs these are."""
        write_whole(self.out / RUN_FILE, json.dumps({"run_id": self.run_id, "cells": self.cells}, indent=2) + "\n")


@contextmanager
def recorded(
    task: Task, recipe: Recipe, out: Path, tracking: Tracking, worked_s: Callable[[], float]
) -> Iterator[ComparisonRuns]:
    """Open the run of a comparison, or go on with the one that it began with, and close it if the block does not end.

    Args:
        task: What the model answers.
        recipe: What every cell begins from.
        out: Folder of the comparison.
        tracking: Where the runs are recorded; nothing is where it is not enabled.
        worked_s: Tells how long the comparison was worked on.

    Raises:
        TrackingError: The server does not answer.
    """
    if not tracking.enabled:
        yield ComparisonRuns(task, out, tracking, None, "")
        return
    client, settings = open_client(tracking), asdict(recipe)
    tags = {"task": task.value, about.NOTE: _note(task, settings)}
    run_id = open_run(client, tracking, f"compare {out.name}", tags=tags, run_id=_kept(out).get("run_id", ""))
    with honest_end(client, run_id, worked_s):
        log_params(client, run_id, about.parameters(task, settings))
        runs = ComparisonRuns(task, out, tracking, client, run_id)
        runs.keep()
        announce(client, tracking, run_id)
        yield runs


def _kept(out: Path) -> dict[str, Any]:
    """The runs that a comparison began with."""
    file = out / RUN_FILE
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def _note(task: Task, settings: Mapping[str, Any]) -> str:
    return f"What each way of training costs. Every cell, a nested run, begins from: {about.begun(task, settings)}"


def _table(report: Mapping[str, Any]) -> str:
    """The cells in a short table of markdown; the whole one is in ``compare.md``."""
    lines = [f"{report['machine']}.", "", "| | training | speed-up | validation loss |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {cell['train_s']:.1f} s | {cell['speed_up']:.2f} | {cell['validation_loss']:.4f} |"
        for name, cell in report["cells"].items()
    ]
    return "\n".join(lines)
