"""One run from data to checkpoint: prepare, train on Ray, measure, draw, record.

The checkpoint's folder appears when it is whole. Until then everything is in ``<out>.partial``, from where the same
command goes on. What cannot be recorded in MLflow is kept in the folder, for ``python -m training record``. A run that
ends before it is through says in MLflow how: it was killed, or it failed, and why.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import pandas as pd

from infolens.contract import CONTRACTS, AnswerKind, Task
from training import storage
from training.data.policy import RowPolicy
from training.data.tables import load_splits, unlabelled_pairs
from training.errors import TrackingError, TrainingError
from training.loop.cluster import ahead, clear, run
from training.loop.failures import explained, is_disk_full, is_out_of_memory, way_on
from training.loop.jobs import Outcome
from training.loop.prediction import load_trained
from training.loop.prepared import Prepared
from training.loop.ray_session import check_address
from training.memory import return_free
from training.metrics import pictures
from training.metrics.reference import write_reference
from training.recipes.kinds import ClassifierRecipe, SummarizerRecipe
from training.recipes.recipe import Recipe
from training.recipes.settings import parse_columns, to_toml
from training.stopping import going_on
from training.tasks import classifier, summarizer
from training.tasks.starter import key_of
from training.tracking import recording
from training.tracking.client import NONE, Tracking, open_client, system_metrics
from training.tracking.ending import KILLED, end_run, honest_end

from .output import held, work_folder
from .worked import clock

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

    @property
    def hashes(self) -> dict[str, str]:
        """Split -> the hash of its table."""
        return {split: frame_hash(frame) for split, frame in self.splits.items()}

    @property
    def articles(self) -> dict[str, int]:
        """Split -> how many rows its table has."""
        return {split: len(frame) for split, frame in self.splits.items()}


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
    logger.info("reading %s", recipe.data)
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
    return classifier.prepare(data.splits, task, cast("ClassifierRecipe", recipe), work, more=data.more)


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
        out: The checkpoint's folder: model, tokenizer, ``*.json``, ``recipe.toml``, ``plots/``.
        data: The articles; by default what the recipe names.
        tracking: Where the run is recorded.
        ray_address: Of a Ray cluster; empty starts Ray on this machine.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        TrainingError: The output folder is taken; the data, the base or the settings do not fit; MLflow or the storage
            does not answer; the run broke off, or was interrupted (`StoppedError`, which says how it goes on).
    """
    work = work_folder(out)  # Refused before the data is read.
    check_address(recipe, ray_address)
    with going_on(lambda: _way_on(recipe, work, out, tracking)):
        if recipe.storage:
            storage.check_writable(recipe.storage)
        client = open_client(tracking) if tracking.enabled else None
        data = data or load_data(task, recipe)
        with held(work):
            try:
                work_folder(out)  # another run may have ended there meanwhile
                with ahead(recipe, ray_address):
                    metrics, run_id = _fit(task, recipe, data, out, work, client, tracking, ray_address)
            except BaseException:
                with contextlib.suppress(OSError):
                    work.rmdir()  # refused before anything was made: there is nothing to go on from
                raise
        if client is not None:
            try:
                recording.record(out, tracking)
            except TrackingError as error:
                raise TrackingError(
                    f"the checkpoint is whole, in {out}, but MLflow did not take it: {error}. Send it later: "
                    f"{_record_command(out, tracking)}"
                ) from error
            except KeyboardInterrupt:
                end_run(client, run_id, KILLED)
                raise
    return metrics


def _fit(
    task: Task, recipe: Recipe, data: Data, out: Path, work: Path, client: Any, tracking: Tracking, ray_address: str
) -> tuple[dict[str, Any], str]:
    """All up to the whole checkpoint in ``out``; returns what ``metrics.json`` holds, and the run's id in MLflow."""
    with clock(work) as time_spent:
        with _explained(recipe, work):
            prepared = prepare(task, recipe, data, work)
        return_free()
        run_id = ""
        if client:
            run_id = recording.open_folder_run(client, tracking, task, recipe, work, name=out.name, key=prepared.key)
        ending = honest_end(client, run_id, lambda: time_spent.worked_s)
        with ending, system_metrics(run_id), _explained(recipe, work):
            outcome = run(
                task, recipe, prepared, work, ray_address=ray_address, tracking=tracking if client else None,
                run_id=run_id,
            )  # fmt: skip
            minutes = time_spent.worked_s / 60
            logger.info("trained %d steps; measuring the best checkpoint", outcome.steps)
            metrics = _finish(task, recipe, data, prepared, outcome, work, minutes=minutes)
            final = work / "final"
            if run_id:
                (final / recording.RUN_FILE).write_text(json.dumps({"run_id": run_id}), encoding="utf-8")
            _put(final, out)
            time_spent.stop()
            clear(recipe, prepared, work)
            shutil.rmtree(work, ignore_errors=True)
    return metrics, run_id


def _put(final: Path, out: Path) -> None:
    """Have the whole checkpoint appear in ``out``."""
    try:
        final.rename(out)
    except OSError as error:
        if not out.exists():
            raise
        raise TrainingError(
            f"{out}: something was put there while the run went on; the checkpoint is whole, in {final}: move it from "
            "there to another place"
        ) from error


@contextlib.contextmanager
def _explained(recipe: Recipe, work: Path) -> Iterator[None]:
    """Say in words that help what an error is about that comes from the machine, and not from the code."""
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:
        if is_disk_full(error) or is_out_of_memory(error):
            raise explained(error, recipe, work) from error
        raise


def _way_on(recipe: Recipe, work: Path, out: Path, tracking: Tracking) -> str:
    if out.exists():  # it is whole, then
        send = f"; send it to MLflow: {_record_command(out, tracking)}" if tracking.enabled else ""
        return f"the checkpoint is whole, in {out}{send}"
    return way_on(recipe, work)


def _record_command(out: Path, tracking: Tracking) -> str:
    return f"python -m training record {shlex.quote(str(out))}{tracking.option}"


def _finish(
    task: Task, recipe: Recipe, data: Data, prepared: Prepared, outcome: Outcome, work: Path, *, minutes: float
) -> dict[str, Any]:
    """Measure the best checkpoint and write the folder ``work/final``."""
    model, tokenizer = load_trained(task, prepared, outcome.checkpoint, recipe)
    measured = _MEASURE[CONTRACTS[task].answers](recipe, data, work, model, tokenizer)
    recipe_text = to_toml(recipe, task)
    metrics = {
        "task": task.value,
        "base": recipe.base,
        "architecture": model.config.model_type,
        "parameters": sum(p.numel() for p in model.parameters()),
        **measured,
        "articles": data.articles,
        "data_hash": data.hashes,
        "recipe_hash": hashlib.sha256(recipe_text.encode()).hexdigest(),
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
    (final / "recipe.toml").write_text(recipe_text, encoding="utf-8")
    (final / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    write_reference(final, data.splits["train"], task)
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
