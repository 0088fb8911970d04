"""``training plan``: predicted training times, each beside how far the same model is off where it can be checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .compare_report import cost_model, names_of, predicted_step_ms
from .cost_model import CostModel, plan

_MINIMUM_CELLS: Final = 2
"""Measured cells of which a range of errors can be given."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be predicted."""

    workers: tuple[int, ...]
    strategy: str
    """``ddp`` or ``fsdp``."""
    articles: int
    epochs: float
    per_device: int
    """Articles in a worker's batch."""
    accumulation: int = 1
    bandwidth_gb_s: float | None = None
    """Between two workers, in 10^9 bytes a second; None is as measured. So are the two below."""
    article_ms: float | None = None
    """Time of one worker for an article."""
    parameters_m: float | None = None
    """Millions of parameters that are trained."""
    device: str = ""
    """The device that ``article_ms`` is an estimate for; empty where it was measured."""

    @property
    def own_figures(self) -> list[str]:
        """Which of the model's costs are the user's own, not measured by the comparison."""
        time = "--device" if self.device else "--article-ms"
        named = {time: self.article_ms, "--bandwidth-gb-s": self.bandwidth_gb_s, "--parameters-m": self.parameters_m}
        return [name for name, value in named.items() if value is not None]


def step_errors(report: dict[str, Any]) -> dict[str, float]:
    """Cell -> how far its predicted step is off the measured one, as a share; below 0 where it was predicted too short.

    Each cell is predicted by a model that was fitted without it (leave-one-out), so that none vouches for itself. A
    cell that alone gives one of the model's costs, as the two DDP workers give the bandwidth, cannot be left out and is
    not among them; neither are other precisions, which the model knows nothing of.
    """
    errors = {}
    alone = names_of(report, "batch")
    only_pair = next((n for n, c in report["cells"].items() if c["workers"] == 2 and c["strategy"] == "ddp"), None)
    for name, cell in report["cells"].items():
        if name.startswith("precision") or name == only_pair or (name in alone and len(alone) < 2):
            continue
        model = cost_model(report, without=name if name in alone else "")
        errors[name] = predicted_step_ms(report, model, cell) / cell["step_ms"] - 1
    return errors


def error_range(report: dict[str, Any], errors: dict[str, float], workers: int) -> str:
    """The errors of the measured cells that are like a prediction: those of one worker, or those of several."""
    like = [error for name, error in errors.items() if (report["cells"][name]["workers"] > 1) == (workers > 1)]
    if len(like) < _MINIMUM_CELLS:
        return f"unknown: {len(like)} measured cell(s), too few to say"
    low, high = (round(bound(like), 2) + 0.0 for bound in (min, max))  # + 0.0: no "-0%"
    return f"{low:+.0%} to {high:+.0%}"


def beyond(report: dict[str, Any], wanted: Plan, workers: int) -> list[str]:
    """How a prediction goes beyond what was measured; empty where it does not."""
    cells = [cell for name, cell in report["cells"].items() if not name.startswith("precision")]
    several = [cell for cell in cells if cell["workers"] > 1]
    batches = [cell["per_device_train_batch_size"] for cell in cells]
    found = []
    most_workers = max(cell["workers"] for cell in cells)
    if workers > most_workers:
        found.append(f"at most {most_workers} worker(s) were measured")
    if workers > 1 and wanted.strategy not in {cell["strategy"] for cell in several}:
        found.append(f"{wanted.strategy.upper()} was not measured")
    if not min(batches) <= wanted.per_device <= max(batches):
        found.append(f"batches of {min(batches)} to {max(batches)} were measured")
    return found


def plan_table(report_file: Path, wanted: Plan) -> str:
    """A table of predicted training times, each with the error of the measured cells, and what it leaves open.

    Raises:
        OSError: The report cannot be read.
        ValueError: It is no JSON.
        KeyError: It is no report of a comparison.
    """
    report = json.loads(report_file.read_text(encoding="utf-8"))
    rows = plan(
        _with_own_figures(cost_model(report), wanted),
        articles=wanted.articles,
        epochs=wanted.epochs,
        per_device=wanted.per_device,
        workers=wanted.workers,
        strategy=wanted.strategy,
        accumulation=wanted.accumulation,
    )
    errors = step_errors(report)
    lines = [
        f"{'workers':>8}{'step':>12}{'training':>14}{'speed-up':>10}{'efficiency':>12}{'exchange':>10}"
        "  error on measured cells"
    ]
    for row in rows:
        count = int(row["workers"])
        off = "unknown: an estimate" if wanted.device else error_range(report, errors, count)
        further = [] if wanted.device else beyond(report, wanted, count)
        lines.append(
            f"{count:>8}{row['step_ms']:>9.0f} ms{row['hours']:>12.2f} h{row['speed_up']:>10.2f}"
            f"{row['efficiency']:>12.0%}{row['exchange_share']:>10.0%}  {off}"
            + (f"; extrapolated: {', '.join(further)}" if further else "")
        )
    return "\n".join([*lines, "", *_notes(report, wanted)])


def _with_own_figures(model: CostModel, wanted: Plan) -> CostModel:
    if wanted.article_ms is not None:
        model = replace(model, fixed_ms=0.0, article_ms=wanted.article_ms)
    if wanted.parameters_m is not None:
        model = replace(model, parameter_bytes=int(wanted.parameters_m * 4e6))
    if wanted.bandwidth_gb_s is not None:
        model = replace(model, bandwidth_gb_s=wanted.bandwidth_gb_s)
    return model


def _notes(report: dict[str, Any], wanted: Plan) -> Sequence[str]:
    if wanted.device:
        return [
            "Training is its steps alone, without measuring and saving. Nothing here was measured:",
            f"{wanted.article_ms:.1f} ms an article on {wanted.device} follow from its operations and a share of the",
            "peak, and may be off by a factor of two either way. Exchange behind computing is counted in full.",
            *_unstated(wanted),
        ]
    notes = [
        "Training is its steps alone, without measuring and saving. The error is that of the predicted step in those",
        "measured cells that the model was not fitted to: below 0 % it promised too much. They were measured on",
        f"{report['machine']}. Another one may be further off.",
    ]
    if wanted.own_figures:
        notes.append(
            f"With {', '.join(wanted.own_figures)} of your own nothing in the table was measured: the errors say how "
            "well the form of the model holds."
        )
    return notes


def _unstated(wanted: Plan) -> list[str]:
    """What a plan for a device should say and does not, so that it was taken from the comparison's machine."""
    left = {"--parameters-m": wanted.parameters_m, "--bandwidth-gb-s": wanted.bandwidth_gb_s}
    missing = [name for name, value in left.items() if value is None]
    return [f"{' and '.join(missing)} are those of the comparison's machine: give your own."] if missing else []
