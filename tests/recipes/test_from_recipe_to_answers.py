"""From a recipe to answers: the same architectures, small and with random weights, are trained, exported and served.

The overrides only make a run small: the base, the steps, the workers. All else is as the recipe says, also how many
tokens are read, the precision and the optimizer.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.common.fixtures import SMALL, make_checkpoint
from benchmarks.common.shapes import shape_of
from export.cli import main as export
from infolens import Client
from infolens.contract import CONTRACTS, AnswerKind, Task
from serving.launcher import ServerOptions, TritonServer
from serving.runtime import ROOT
from training.cli import main as training

pytestmark = [
    pytest.mark.server,
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own, in its threads
]

TASKS = (Task.SUMMARY, Task.CATEGORY, Task.VERACITY)
LABELS = {Task.CATEGORY: ("Business", "Sports"), Task.VERACITY: ("real", "fake")}
SHRINK = {
    "max_steps": "2",
    "per_device_train_batch_size": "2",
    "gradient_accumulation_steps": "2",
    "per_device_eval_batch_size": "4",
}
MORE = {Task.SUMMARY: {"evaluate_rows": "2", "num_beams": "2"}}


def table(task: Task, path: Path) -> Path:
    """24 articles in three splits."""
    rows = []
    for number in range(24):
        text = f"The council voted on bridge number {number}. It will cost {number} million. Work begins in May."
        answer = (
            {"article": text, "summary": f"Bridge {number} will cost {number} million."}
            if task is Task.SUMMARY
            else {"text": text, "label": LABELS[task][number % 2]}
        )
        rows.append({**answer, "split": ("train", "train", "validation", "test")[number // 2 % 4]})
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def base(task: Task, folder: Path) -> Path:
    """A small checkpoint of the class and the kind of tokenizer that the recipe's base has, without a trained head."""
    model, tokenizer = make_checkpoint(shape_of(CONTRACTS[task].architecture), SMALL, {})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def fit(task: Task, gpus: int, folder: Path, **changes: str) -> Path:
    """Train by a recipe; returns the checkpoint."""
    folder.mkdir()
    out = folder / "trained"
    sets = SHRINK | MORE.get(task, {}) | changes
    words = ["fit", task.value, "--config", str(ROOT / "recipes" / f"{task.value}-{gpus}gpu.toml")]
    words += ["--data", str(table(task, folder / "articles.csv")), "--base", str(base(task, folder / "base"))]
    words += [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    assert training([*words, "--out", str(out), "--tracking-uri", "none"]) == 0
    return out


def publish(task: Task, checkpoint: Path, repository: Path) -> None:
    """Export a checkpoint; random weights decide between near ties."""
    more = ["--min-token-f1", "0"] if CONTRACTS[task].answers is AnswerKind.TEXT else []
    assert export([task.value, "--checkpoint", str(checkpoint), "--repository", str(repository), *more]) == 0


def artefact(task: Task, repository: Path) -> dict[str, object]:
    text = (repository / CONTRACTS[task].model / "1" / "artefact.json").read_text(encoding="utf-8")
    document: dict[str, object] = json.loads(text)
    return document


@pytest.mark.slow
def test_recipes_for_one_gpu_become_answers(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    for task in TASKS:
        publish(task, fit(task, 1, tmp_path / task.value, workers="0"), repository)
    assert artefact(Task.SUMMARY, repository)["max_tokens"] == 1024
    assert artefact(Task.CATEGORY, repository)["max_tokens"] == 512
    assert artefact(Task.VERACITY, repository)["max_tokens"] == 512
    options = ServerOptions(
        repository=repository, http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "triton.log"
    )
    with TritonServer(options) as server, Client(server.grpc_url, timeout_s=120) as client:
        report = client.analyze("The council voted on a bridge. It will cost nine million.")
    assert report.summary is not None
    assert report.category is not None
    assert report.veracity is not None
    assert set(report.category.probabilities) == set(LABELS[Task.CATEGORY])
    assert set(report.veracity.probabilities) == set(LABELS[Task.VERACITY])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "strategy"), [*((task, "ddp") for task in TASKS), (Task.SUMMARY, "fsdp")], ids=lambda value: str(value)
)
def test_recipes_for_four_gpus_are_trained_by_workers_and_published(task: Task, strategy: str, tmp_path: Path) -> None:
    """Two processes in place of four GPUs: by the recipe's own strategy, and by the one that its comment proposes."""
    other = {} if strategy == "ddp" else {"strategy": strategy}
    checkpoint = fit(task, 4, tmp_path / task.value, workers="2", cpus_per_worker="1", **other)
    metrics = json.loads((checkpoint / "metrics.json").read_text(encoding="utf-8"))
    assert len(metrics["workers"]) == 2
    assert metrics["config"]["strategy"] == strategy
    assert metrics["steps"] == 2
    publish(task, checkpoint, tmp_path / "model_repository")
    assert artefact(task, tmp_path / "model_repository")["precision"] == "int8"
