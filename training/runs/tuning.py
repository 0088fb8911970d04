"""Search for good settings with Ray Tune: random samples, and ASHA, which stops the poor ones early (Li et al., 2020).

Every trial trains on the same prepared articles, in a process of its own, and is a nested run in MLflow. A search that
was stopped goes on with the same command: what its trials have reached is in ``trials.json`` from the first measurement
on, and each keeps its newest checkpoint until it has ended.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from infolens.contract import Task
from training import storage
from training.errors import RunError, SettingError, StoppedError
from training.loop.jobs import Job
from training.loop.ray_session import ray_ahead, ray_for
from training.loop.worker import learning_of
from training.recipes.kinds import default_recipe
from training.recipes.recipe import Recipe
from training.recipes.settings import replace_fields
from training.tracking.client import REASON, Tracking, log_params, open_client, open_run
from training.tracking.ending import honest_end
from training.tracking.recording import log_data

from .fitting import load_data, prepare
from .output import held, remember
from .search.board import FILE, TUNED, Board, State
from .search.nested import Nested
from .search.report import BEST, PICTURE, TABLE, table, write_best, write_report
from .search.running import Search, run_search
from .search.trial import Plan

logger = logging.getLogger(__name__)

SETTINGS: Final = "search.json"
"""In a search's folder: what it searches."""
_TRIALS: Final = "trials"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best trial."""

    recipe: Recipe
    score: float
    trials: int
    """Trials that it is the best of, those that failed among them."""
    stopped_early: int
    failed: int = 0
    unfinished: int = 0


def tune_recipe(
    task: Task, recipe: Recipe, out: Path, search: Search, *, tracking: Tracking, ray_address: str = ""
) -> Found:
    """Search; writes ``best.toml``, ``trials.json``, ``trials.md`` and ``tuning.png`` into ``out``.

    Args:
        task: What the model answers.
        recipe: Where the search begins; what it does not vary stays as it is here.
        out: The search's folder; an earlier search with the same settings in it goes on.
        search: What is searched, and for how long.
        tracking: Where the trials are recorded.
        ray_address: Of a Ray cluster; empty starts Ray on this machine.

    Raises:
        SettingError: ``out`` holds another search, or no machine has the cores that a trial asks for.
        StoppedError: The search was stopped; there is no ``best.toml``, and the same command goes on.
        RunError: No trial came to a measurement.
        TrainingError: The data, the base or the settings do not fit.
    """
    settings = {"task": task.value, "recipe": asdict(recipe), "search": asdict(search)}
    learning = learning_of(task, recipe)
    remember(out / SETTINGS, settings, "a search with other settings")
    board = Board.read(out, score=learning.score, higher_is_better=learning.higher_is_better, total=search.samples)
    if board.complete and (out / BEST).exists():
        logger.info("%s holds a search that is done: %s", out, board.told())
        return _found(board, task, recipe)
    client = open_client(tracking) if tracking.enabled else None
    at_a_time = min(search.concurrent, search.samples)
    cores = recipe.cpus_per_worker or max(1, _cores() // at_a_time)
    with held(out), _said_how_to_go_on(board), ExitStack() as stack:
        data = load_data(task, recipe)
        stack.enter_context(ray_ahead(ray_address, cpus=cores * at_a_time))
        prepared = prepare(task, recipe, data, out)
        run_id = _parent_run(client, tracking, task, recipe, out) if client else ""
        with honest_end(client, run_id, lambda: board.worked_s):
            if client:
                log_data(client, run_id, recipe.data, data.hashes, data.articles)
            if cores * at_a_time > _cores():
                logger.warning("%d trials at a time share %d cores, and are as much slower", at_a_time, _cores())
            job = Job.of(
                task,
                replace(recipe, strategy="single", workers=0),
                str(prepared.folder.resolve()),
                threads=cores,
                tracking=tracking.anywhere if client else None,
            )
            plan = Plan(
                job=job,
                parent_run=run_id,
                folder=str((out / _TRIALS).resolve()),
                total=search.samples,
                measurements=search.measurements,
                score=learning.score,
                higher_is_better=learning.higher_is_better,
            )
            nested = Nested(client=client, tracking=tracking.anywhere, parent=run_id)
            with ray_for(ray_address, cpus=cores * at_a_time):
                run_search(recipe, search, board, plan, nested, cores)
            return _finish(task, recipe, board, nested)


def best_so_far(task: Task, out: Path) -> Found:
    """Write ``best.toml`` from what a search that was stopped has measured, and train nothing.

    Args:
        task: What the search is for.
        out: The search's folder.

    Raises:
        SettingError: ``out`` holds no search of this task, or none of its trials was measured.
    """
    file = out / SETTINGS
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"{out}: holds no search; --out names the folder of a 'tune' that was stopped") from error
    if settings["task"] != task.value:
        raise SettingError(f"{out}: holds a search for {settings['task']}, not for {task.value}")
    saved = settings["recipe"]
    recipe = replace_fields(default_recipe(task, saved["base"]), saved, where=f"{file}: ")
    learning = learning_of(task, recipe)
    board = Board.read(
        out, score=learning.score, higher_is_better=learning.higher_is_better, total=settings["search"]["samples"]
    )
    if board.best() is None:
        raise SettingError(f"{out}: no trial was measured yet, so there is no best one; the same 'tune' goes on")
    found = _found(board, task, recipe)
    measured = [trial for trial in board.trials.values() if trial.points and trial.state is not State.FAILED]
    unfinished = sum(not trial.ended for trial in measured)
    logger.info(
        "%s rests on %d of %d trials, %d of them unfinished", out / BEST, len(measured), board.total, unfinished
    )
    return found


def _finish(task: Task, recipe: Recipe, board: Board, nested: Nested) -> Found:
    """Write and record what was found, and clear away what only a search that goes on needs."""
    if board.best() is None:
        reasons = {trial.error for trial in board.trials.values() if trial.error}
        reason = f"no trial came to a measurement: {'; '.join(sorted(reasons)) or 'none was started'}"
        nested.tell(REASON, reason)
        raise RunError(reason)
    found = _found(board, task, recipe)
    out = board.folder
    if board.complete:
        for name in (_TRIALS, "prepared", "starter"):
            shutil.rmtree(out / name, ignore_errors=True)
    else:  # the same command begins those that failed again
        for folder in (out / _TRIALS).glob("*/steps"):
            shutil.rmtree(folder, ignore_errors=True)
    note = f"{_note(task, recipe)}\n\n{table(board, limit=20)}"
    nested.finish([out / name for name in (BEST, FILE, TABLE, PICTURE)], note, worked_s=board.worked_s)
    logger.info("best.toml, trials.md and tuning.png are in %s, which takes %s", out, _size(out))
    return found


def _found(board: Board, task: Task, recipe: Recipe) -> Found:
    """Write ``best.toml`` and the report from what was measured."""
    best = board.best()
    if best is None or best.score is None:
        raise RunError(f"{board.folder}: no trial was measured")
    write_report(board)
    return Found(
        recipe=write_best(board, task, recipe, best),
        score=best.score,
        trials=len(board.trials),
        stopped_early=board.count(State.STOPPED_EARLY),
        failed=board.count(State.FAILED),
        unfinished=board.count(State.UNFINISHED, State.RUNNING),
    )


@contextmanager
def _said_how_to_go_on(board: Board) -> Iterator[None]:
    """Have an interrupted search say in one line how far it came and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        way = "the same command goes on"
        if board.best() is not None:
            way += f"; with --best-so-far it writes {BEST} from what there is"
        raise StoppedError(f"{board.told()}; {way}") from None


def _cores() -> int:
    return os.cpu_count() or 1


def _parent_run(client: Any, tracking: Tracking, task: Task, recipe: Recipe, out: Path) -> str:
    file = out / "run_id"
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    tags = {"task": task.value, "mlflow.note.content": _note(task, recipe)}
    run_id = open_run(client, tracking, f"tune {out.name}", tags=tags, run_id=known)
    log_params(client, run_id, {"task": task.value, **asdict(recipe)})
    file.write_text(run_id, encoding="utf-8")
    return run_id


def _note(task: Task, recipe: Recipe) -> str:
    """What MLflow shows above the search, for people."""
    base = "a small model from scratch" if recipe.starter else f"`{recipe.base}`"
    return (
        f"**Search for settings, {task.value}**: {base} on `{Path(recipe.data).name or recipe.data}`; varied are "
        f"{', '.join(TUNED)}. The trials are the runs below this one."
    )


def _size(folder: Path) -> str:
    """How much a folder takes, in words."""
    return storage.in_bytes(storage.size_bytes(str(folder)))
