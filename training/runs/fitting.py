"""One run from data to checkpoint: prepare, train on Ray, measure, draw, record.

The checkpoint's folder appears when it is whole. Until then everything is in ``<out>.partial``, from where the same
command goes on. What cannot be recorded in MLflow is kept in the folder, for ``python -m training record``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training.data.policy import RowPolicy
from training.data.tables import load_splits, unlabelled_pairs
from training.errors import TrackingError, TrainingError
from training.loop import storage
from training.loop.cluster import run
from training.loop.failures import explained, is_disk_full
from training.loop.jobs import Outcome
from training.loop.prediction import load_trained
from training.loop.prepared import Prepared
from training.metrics import pictures
from training.recipes.kinds import ClassifierRecipe, SummarizerRecipe
from training.recipes.recipe import Recipe
from training.recipes.settings import parse_columns, to_toml
from training.tasks import classifier, summarizer
from training.tasks.starter import key_of
from training.tracking import recording
from training.tracking.client import NONE, Tracking, open_client, system_metrics

from .output import work_folder

logger = logging.getLogger(__name__)

Frames = dict[str, pd.DataFrame]
NO_TRACKING: Final = Tracking(uri=NONE)


@dataclass(frozen=True, kw_only=True)
class Data:
    """The articles of a run."""

    splits: Frames
    """The tables of `tables.load_splits`."""
    more: tuple[tuple[str, str], ...] = ()
    """Articles without labels: text and title."""


def load_data(task: Task, recipe: Recipe) -> Data:
    """Read what a recipe names.

    Raises:
        DataError: It cannot be read or does not fit the task.
    """
    policy = RowPolicy(
        encoding=recipe.encoding,
        columns=parse_columns(recipe.columns),
        labels=recipe.labels if isinstance(recipe, ClassifierRecipe) else (),
        validation=recipe.validation,
        test=recipe.test,
        hold_out=recipe.hold_out,
        clean=recipe.clean,
    )
    splits = load_splits(recipe.data, task, policy)
    return Data(
        splits=splits,
        more=tuple(pair for place in recipe.unlabelled for pair in unlabelled_pairs(place, recipe.encoding)),
    )


def prepare(task: Task, recipe: Recipe, data: Data, work: Path) -> Prepared:
    """Make what the workers read (see `classifier.prepare` and `summarizer.prepare`)."""
    return _PREPARE[CONTRACTS[task].answers](task, recipe, data, work)


def _prepare_texts(_: Task, recipe: Recipe, data: Data, work: Path) -> Prepared:
    return summarizer.prepare(data.splits, cast("SummarizerRecipe", recipe), work, extra=data.more)


def _prepare_labels(task: Task, recipe: Recipe, data: Data, work: Path) -> Prepared:
    texts = ["\n".join(filter(None, (title, text))) for text, title in data.more]
    return classifier.prepare(data.splits, task, cast("ClassifierRecipe", recipe), work, more_text=texts)


def _measure_texts(recipe: Recipe, data: Data, _: Path, model: Any, tokenizer: Any) -> dict[str, Any]:
    return summarizer.measure(data.splits, cast("SummarizerRecipe", recipe), model, tokenizer)


def _measure_labels(recipe: Recipe, data: Data, work: Path, model: Any, tokenizer: Any) -> dict[str, Any]:
    return classifier.measure(data.splits, cast("ClassifierRecipe", recipe), work, model, tokenizer)


_PREPARE: Final = {AnswerKind.TEXT: _prepare_texts, AnswerKind.LABELS: _prepare_labels}
_MEASURE: Final = {AnswerKind.TEXT: _measure_texts, AnswerKind.LABELS: _measure_labels}


def fit(
    task: Task,
    recipe: Recipe,
    out: Path,
    *,
    data: Data | None = None,
    tracking: Tracking = NO_TRACKING,
    ray_address: str = "",
) -> dict[str, Any]:
    """Train a model, measure it, save it in ``out`` and record it.

    Args:
        task: What the model answers.
        recipe: How to train.
        out: The checkpoint's folder: model, tokenizer, ``metrics.json``, ``history.json``, ``recipe.toml``, ``plots/``.
        data: The articles; by default what the recipe names.
        tracking: Where the run is recorded.
        ray_address: Of a Ray cluster; empty starts Ray on this machine.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        TrainingError: The output folder is taken; the data, the base or the settings do not fit; MLflow or the storage
            does not answer; the run broke off.
    """
    work = work_folder(out)  # Refused before the data is read.
    if recipe.storage:
        storage.check_writable(recipe.storage)
    client = open_client(tracking) if tracking.enabled else None
    data = data or load_data(task, recipe)
    work.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        prepared = prepare(task, recipe, data, work)
        run_id = recording.open_folder_run(client, tracking, task, recipe, work, name=out.name) if client else ""
        with system_metrics(run_id):
            outcome = run(
                task, recipe, prepared, work, ray_address=ray_address, tracking=tracking if client else None,
                run_id=run_id,
            )  # fmt: skip
        metrics = _finish(task, recipe, data, prepared, outcome, work, minutes=(time.monotonic() - began) / 60)
    except Exception as error:
        with contextlib.suppress(OSError):
            work.rmdir()  # refused before anything was made: there is nothing to go on from
        if isinstance(error, TrainingError) or not is_disk_full(error):
            raise
        raise explained(error, recipe, work) from error
    final = work / "final"
    if run_id:
        (final / recording.RUN_FILE).write_text(json.dumps({"run_id": run_id, "logged_step": outcome.live_logged_step}))
    final.rename(out)
    shutil.rmtree(work, ignore_errors=True)
    if run_id:
        try:
            recording.record(out, tracking)
        except TrackingError as error:
            raise TrackingError(
                f"the checkpoint is whole, in {out}, but MLflow did not take it: {error}. Send it later: "
                f"python -m training record {out}" + (f" --tracking-uri {tracking.resolved}" if tracking.uri else "")
            ) from error
    return metrics


def _finish(
    task: Task, recipe: Recipe, data: Data, prepared: Prepared, outcome: Outcome, work: Path, *, minutes: float
) -> dict[str, Any]:
    """Measure the best checkpoint and write the folder ``work/final``."""
    model, tokenizer = load_trained(task, prepared, outcome.checkpoint, recipe)
    measured = _MEASURE[CONTRACTS[task].answers](recipe, data, work, model, tokenizer)
    metrics = {
        "task": task.value,
        "base": recipe.base,
        "architecture": model.config.model_type,
        "parameters": sum(p.numel() for p in model.parameters()),
        **measured,
        "articles": {split: len(frame) for split, frame in data.splits.items()},
        "data_hash": {split: frame_hash(frame) for split, frame in data.splits.items()},
        "git_revision": git_revision(),
        "config": asdict(recipe),
        "steps": outcome.steps,
        "resumed_step": outcome.resumed_step,
        "workers": [asdict(worker) for worker in outcome.workers],
        "parameter_bytes": outcome.parameter_bytes,
        "minutes": minutes,
    }
    final = work / "final"
    shutil.rmtree(final, ignore_errors=True)
    model.save_pretrained(final)
    tokenizer.save_pretrained(final)
    (final / "history.json").write_text(json.dumps(outcome.history, indent=1) + "\n", encoding="utf-8")
    (final / "recipe.toml").write_text(to_toml(recipe, task), encoding="utf-8")
    (final / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    pictures.draw(final)
    return metrics


def frame_hash(frame: pd.DataFrame) -> str:
    """A hash of a table's articles and answers, in their order; equal tables have equal hashes on every machine."""
    columns: Sequence[str] = [n for n in ("title", "text", "article", "label", "summary", "source") if n in frame]
    return key_of(text for name in columns for text in frame[name])


def git_revision() -> str:
    """The revision of this checkout, with ``-dirty`` when it was changed; empty outside of one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"],  # noqa: S607
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
