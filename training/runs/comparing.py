"""Measure what each way of training costs and gains: workers, DDP and FSDP, batch sizes, precisions, accumulation.

Every cell of the matrix trains the same model on the same articles for as many passes. A cell that is done is
kept, so a comparison that was cut off goes on with the same command.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from infolens.contract import Task
from training.loop.cluster import clear, run
from training.loop.jobs import Outcome
from training.loop.prepared import Prepared
from training.loop.ray_session import ray_ahead, ray_for
from training.recipes.recipe import Recipe
from training.tracking.client import Tracking

from . import compare_report
from .compare_runs import recorded
from .fitting import NO_TRACKING, git_revision, load_data, prepare
from .output import held, remember, write_whole
from .worked import clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Which cells are measured."""

    workers: tuple[int, ...] = (1, 2, 4)
    strategies: tuple[str, ...] = ("ddp", "fsdp")
    batches: tuple[int, ...] = (8, 16, 32)
    """Articles in a batch of one worker; the first comparison is with the recipe's own."""
    precisions: tuple[str, ...] = ("fp32", "bf16")
    accumulations: tuple[int, ...] = (1, 4)
    """Batches a step; the batch shrinks as much, so that a step sees as many articles."""
    repeats: int = 1
    """How often every cell is measured; the median counts."""


def cells(recipe: Recipe, matrix: Matrix) -> dict[str, Recipe]:
    """Name -> recipe of every cell. More workers share out the same articles a step, so all of them learn alike."""
    alone = replace(recipe, strategy="single", workers=1)
    batch = recipe.per_device_train_batch_size
    found = {"1 worker": alone}
    for count in matrix.workers:
        for strategy in matrix.strategies:
            if count > 1:
                found[f"{count} workers, {strategy.upper()}"] = replace(
                    recipe, strategy=strategy, workers=count, per_device_train_batch_size=max(1, batch // count)
                )
    for size in matrix.batches:
        if size != batch:
            found[f"batch {size}"] = replace(alone, per_device_train_batch_size=size)
    for precision in matrix.precisions:
        if precision != recipe.precision:
            found[f"precision {precision}"] = replace(alone, precision=precision)
    for count in matrix.accumulations:
        if count != recipe.gradient_accumulation_steps:
            found[f"accumulation {count} x {max(1, batch // count)}"] = replace(
                alone, gradient_accumulation_steps=count, per_device_train_batch_size=max(1, batch // count)
            )
    return found


def compare(
    task: Task,
    recipe: Recipe,
    out: Path,
    matrix: Matrix,
    *,
    tracking: Tracking = NO_TRACKING,
    ray_address: str = "",
) -> dict[str, Any]:
    """Measure every cell and return the report; writes it as ``compare.json``, ``compare.md`` and ``compare.png`` too.

    Args:
        task: What the model answers.
        recipe: What every cell begins from.
        out: Folder of the comparison, where the report is written; cells that are in it already are kept.
        matrix: Which cells.
        tracking: Where the comparison and its cells are recorded.
        ray_address: Of a Ray cluster; empty starts Ray on this machine.

    Raises:
        SettingError: ``out`` holds another comparison.
        TrainingError: The data, the base or the settings do not fit; a cell broke off; MLflow does not answer.
    """
    every = cells(recipe, matrix)
    remember(out / "comparison.json", {"task": task.value, "recipe": asdict(recipe)}, "a comparison of another recipe")
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    todo = [name for name in every if not _cell_file(out, name).exists()]
    with ExitStack() as stack:
        stack.enter_context(held(out))
        time_spent = stack.enter_context(clock(work))
        if todo:
            data = load_data(task, recipe)
            cpus = max(max(1, each.cpus_per_worker) * each.workers for each in every.values())
            stack.enter_context(ray_ahead(ray_address, cpus=cpus, trains=True))
            prepared = prepare(task, recipe, data, work)
            stack.enter_context(ray_for(ray_address, cpus=cpus))
        runs = stack.enter_context(recorded(task, recipe, out, tracking, lambda: time_spent.worked_s))
        for number, name in enumerate(every, start=1):
            if name not in todo:
                continue
            logger.info("cell %d of %d: %s", number, len(every), name)
            with runs.cell(name, every[name]) as run_id:
                cell = _measure(task, every[name], prepared, work, matrix.repeats, ray_address, tracking, run_id)
            _cell_file(out, name).parent.mkdir(exist_ok=True)
            write_whole(_cell_file(out, name), json.dumps(cell, indent=2) + "\n")
            runs.complete(name, cell)
        report = _report(task, recipe, out, list(every), matrix)
        write_whole(out / "compare.json", json.dumps(report, indent=2) + "\n")
        compare_report.write(report, out)
        runs.finish(report, worked_s=time_spent.worked_s)
    shutil.rmtree(work, ignore_errors=True)
    return report


def _measure(
    task: Task,
    recipe: Recipe,
    prepared: Prepared,
    work: Path,
    repeats: int,
    ray_address: str,
    tracking: Tracking,
    run_id: str,
) -> dict[str, Any]:
    """Train a cell as often as it is asked for; returns the figures of the median."""
    measured = []
    for _ in range(repeats):
        shutil.rmtree(work / "ray", ignore_errors=True)
        began = time.monotonic()
        outcome = run(
            task, recipe, prepared, work, ray_address=ray_address, tracking=tracking if run_id else None, run_id=run_id
        )
        measured.append(_measured(outcome, recipe, time.monotonic() - began))
        clear(recipe, prepared, work)
    measured.sort(key=lambda cell: cell["train_s"])
    return measured[len(measured) // 2]


def _report(task: Task, recipe: Recipe, out: Path, names: list[str], matrix: Matrix) -> dict[str, Any]:
    report = {
        "task": task.value,
        "base": recipe.base,
        "machine": describe_machine(),
        "cores": _cores(),
        "gpus": torch.cuda.device_count(),
        "date": time.strftime("%Y-%m-%d"),
        "git_revision": git_revision(),
        "repeats": matrix.repeats,
        "recipe": asdict(recipe),
        "cells": {name: json.loads(_cell_file(out, name).read_text(encoding="utf-8")) for name in names},
    }
    add_ratios(report)
    return report


def add_ratios(report: dict[str, Any]) -> None:
    """Add to each cell its speed-up over one worker, and the efficiency of its workers."""
    alone = report["cells"]["1 worker"]["train_s"]
    for cell in report["cells"].values():
        cell["speed_up"] = alone / cell["train_s"]
        cell["efficiency"] = cell["speed_up"] / cell["workers"]


def describe_machine() -> str:
    """This machine and its GPUs, in words."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")  # Linux says the processor's name nowhere else
    if info.exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    memory_gib = psutil.virtual_memory().total / 2**30
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    machine = f"{cpu}, {_cores()} cores, {memory_gib:.0f} GiB, {platform.system()} {platform.machine()}"
    return "; ".join([machine, *(f"{gpus.count(name)} x {name}" for name in sorted(set(gpus)))])


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _measured(outcome: Outcome, recipe: Recipe, total_s: float) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for entry in outcome.history:
        if "eval_loss" in entry:
            last = entry
    return {
        "workers": recipe.workers,
        "strategy": recipe.strategy,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "precision": recipe.precision,
        "total_s": total_s,
        "train_s": max(worker.train_s for worker in outcome.workers),
        "step_ms": max(worker.step_ms for worker in outcome.workers),
        "steps": outcome.steps,
        "threads": outcome.workers[0].threads,
        "peak_memory_bytes": max(worker.peak_memory_bytes for worker in outcome.workers),
        "parameter_bytes": outcome.parameter_bytes,
        "validation_loss": last.get("eval_loss"),
        "accuracy": last.get("eval_accuracy"),
        "macro_f1": last.get("eval_macro_f1"),
    }


def _cell_file(out: Path, name: str) -> Path:
    return out / "cells" / f"{name.replace(',', '').replace(' ', '-')}.json"
