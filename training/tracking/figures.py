"""Figures of a run under MLflow's names, and that no point of a curve is sent twice.

Names are grouped by a slash, by which MLflow's page makes sections: ``train/loss``, ``validation/macro_f1``,
``test/macro_f1``, ``baseline/macro_f1``, ``worker/0/peak_memory_mb``. What says the same in every run or at every step
(the pass, a constant rate, how many articles) is no figure: it stands among the parameters and in ``metrics.json``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from training.metrics.headline import headline

TIME: Final = "time_ms"
"""In an entry of a log: when it was logged, in milliseconds since 1970; without it, it is told as of now."""
_LEFT_OUT: Final = ("runtime", "per_second", "total_flos", "preparation_time")
_COUNTS: Final = frozenset({"articles", "rows"})
_BATCH: Final = 1000
"""Points that MLflow takes in one call."""


class Curves:
    """The curves of one run, from a trainer's log.

    A run that goes on from a checkpoint repeats the steps since then, and MLflow forgets no point: a step that the
    server has is not sent again. It is asked once for each curve.
    """

    def __init__(self, client: Any, run_id: str, *, constant_rate: bool = False) -> None:
        self.client, self.run_id, self.constant_rate = client, run_id, constant_rate
        self._sent: dict[str, set[int]] = {}

    def send(self, history: Iterable[Mapping[str, Any]]) -> None:
        """Send what the server does not have of some entries of a trainer's log, each with its ``step``.

        Raises:
            Exception: MLflow's, or its transport's: nothing is known of what was to be sent.
        """
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        new: dict[tuple[str, int], tuple[float, int]] = {}
        for entry in history:
            step = int(entry.get("step", 0))
            for logged, value in entry.items():
                name = self._name(logged)
                if name and isinstance(value, int | float) and step not in self._known(name):
                    new[name, step] = float(value), int(entry.get(TIME, now_ms))
        points = [Metric(name, value, time_ms, step) for (name, step), (value, time_ms) in new.items()]
        for start in range(0, len(points), _BATCH):
            self.client.log_batch(self.run_id, metrics=points[start : start + _BATCH])
        for name, step in new:
            self._known(name).add(step)

    def _known(self, name: str) -> set[int]:
        """Steps of a curve that the server has."""
        if name not in self._sent:
            self._sent[name] = {point.step for point in self.client.get_metric_history(self.run_id, name)}
        return self._sent[name]

    def _name(self, logged: str) -> str:
        """The curve of a figure of the trainer's log; empty for what is none."""
        if logged in {"step", "epoch", TIME} or any(part in logged for part in _LEFT_OUT):
            return ""
        if logged.startswith("train_") or (logged == "learning_rate" and self.constant_rate):
            return ""  # the mean loss of the whole run is no point of the loss's curve
        return f"validation/{logged.removeprefix('eval_')}" if logged.startswith("eval_") else f"train/{logged}"


def final_figures(metrics: Mapping[str, Any], history: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Name -> each figure that a finished run has once.

    Args:
        metrics: What ``metrics.json`` holds.
        history: The trainer's log.
    """
    found: dict[str, float] = {}
    for split in ("test", "out_of_domain"):
        found |= {f"{split}/{name}": value for name, value in plain(metrics.get(split, {})).items()}
    found = {name: value for name, value in found.items() if name.rpartition("/")[2] not in _COUNTS}
    found |= {f"baseline/{figure.name}": figure.baseline for figure in headline(metrics).figures}
    for number, worker in enumerate(metrics["workers"]):
        found[f"worker/{number}/peak_memory_mb"] = worker["peak_memory_bytes"] / 1e6
    if not metrics.get("resumed_step", 0):  # the trainer's mean is of the steps since it went on
        means = [entry["train_loss"] for entry in history if "train_loss" in entry]
        found |= {"train/mean_loss": float(means[-1])} if means else {}
    return found


def send_figures(client: Any, run_id: str, figures: Mapping[str, float]) -> None:
    """Send figures that a run has once; those that the server has with the same value are not sent again."""
    from mlflow.entities import Metric

    known = client.get_run(run_id).data.metrics
    now_ms = int(time.time() * 1000)
    new = [Metric(name, value, now_ms, 0) for name, value in figures.items() if known.get(name) != value]
    for start in range(0, len(new), _BATCH):
        client.log_batch(run_id, metrics=new[start : start + _BATCH])


def plain(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a group that are numbers."""
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float)}
