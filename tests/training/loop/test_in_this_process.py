"""One process without Ray: it goes on exactly where it was killed, from its folder or from a storage elsewhere."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import multiprocessing
from transformers import TrainerCallback

from infolens.contract import Task
from tests.training.toys import small, toy_splits
from training.errors import SettingError
from training.loop import worker
from training.loop.cluster import run
from training.loop.failures import STEPS
from training.loop.jobs import Job, Outcome
from training.loop.prepared import Prepared
from training.loop.ray_session import check_address
from training.loop.trainer import training_arguments
from training.recipes.recipe import Recipe
from training.runs.fitting import Data, prepare

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, about processes and files of checkpoints

RECIPE = small(max_steps=8, teacher=0.0, save_steps=2, logging_steps=1, dropout=0.1, train_tokens=24, max_tokens=24)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    data = Data(splits=toy_splits(Task.VERACITY, train=24))
    return prepare(Task.VERACITY, RECIPE, data, tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def whole(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The run that nobody killed."""
    return run(Task.VERACITY, RECIPE, prepared, tmp_path_factory.mktemp("whole"))


class _Killed(TrainerCallback):  # type: ignore[misc]
    """Kills its process before a step, as the kernel does when memory is short."""

    def on_step_begin(self, args: object, state: Any, control: object, **kwargs: object) -> None:
        if state.global_step == 5:
            os.kill(os.getpid(), signal.SIGKILL)


def _until_killed(_: int, job: Job) -> None:
    gc.freeze()
    worker.train(job, callbacks=(_Killed(),))


def _same(outcome: Outcome, whole: Outcome) -> None:
    assert outcome.resumed_step == 4
    assert outcome.steps == whole.steps == 8
    assert outcome.checkpoint.name == whole.checkpoint.name
    for name in ("model.safetensors", "average.safetensors"):
        ours, theirs = load_file(outcome.checkpoint / name), load_file(whole.checkpoint / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


def test_a_killed_run_goes_on_with_the_exact_same_result(prepared: Prepared, whole: Outcome, tmp_path: Path) -> None:
    steps = tmp_path / STEPS / prepared.key
    job = Job.of(Task.VERACITY, RECIPE, str(prepared.folder), threads=1, steps=str(steps))
    multiprocessing.set_forkserver_preload(["training.loop.worker"])
    with pytest.raises(multiprocessing.ProcessExitedException, match="SIGKILL"):
        multiprocessing.start_processes(_until_killed, args=(job,), nprocs=1, start_method="forkserver")
    assert (steps / "checkpoint-4").is_dir()
    _same(run(Task.VERACITY, RECIPE, prepared, tmp_path), whole)


class _CutOff(TrainerCallback):  # type: ignore[misc]
    def on_step_begin(self, args: object, state: Any, control: object, **kwargs: object) -> None:
        if state.global_step == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["url", "folder"])
def test_a_run_goes_on_from_its_storage_where_nothing_else_is_left(
    kind: str,
    prepared: Prepared,
    whole: Outcome,
    s3: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = f"{s3}/alone" if kind == "url" else str(tmp_path / "elsewhere")
    recipe: Recipe = small(**{**vars(RECIPE), "storage": place})
    train = worker.train

    def cut_off(job: Job, *, callbacks: tuple[Any, ...] = ()) -> Outcome:
        return train(job, callbacks=(*callbacks, _CutOff()))

    with monkeypatch.context() as patch:
        patch.setattr("training.loop.cluster.train", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(Task.VERACITY, recipe, prepared, tmp_path / "one" / "run.partial")
    shutil.rmtree(tmp_path / "one", ignore_errors=True)
    outcome = run(Task.VERACITY, recipe, prepared, tmp_path / "two" / "run.partial")
    _same(outcome, whole)
    assert outcome.checkpoint.is_relative_to(tmp_path)
    if kind == "url":
        assert len(_listed(place)) <= 3, "what is kept no more is removed there too"


def _listed(place: str) -> set[str]:
    """The checkpoints in a place."""
    import boto3

    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]
    parts = [entry["Key"].removeprefix(f"{prefix}/").split("/") for entry in found]
    return {part[1] for part in parts if len(part) > 2 and part[2]}


def test_several_gpus_are_no_reason_to_share_a_batch_out(tmp_path: Path) -> None:
    arguments = training_arguments(RECIPE, worker.learning_of(Task.VERACITY, RECIPE), tmp_path, staged=False)
    arguments._n_gpu = 4  # as where four are seen: `transformers` would take them for DataParallel
    assert arguments.n_gpu == 1
    assert arguments.train_batch_size == RECIPE.per_device_train_batch_size


def test_a_cluster_that_would_not_train_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SettingError, match=r"--ray-address ray://head: with workers=0 this process trains.*workers=1"):
        check_address(RECIPE, "ray://head")
    check_address(small(workers=1), "ray://head")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head")
    with caplog.at_level(logging.WARNING):
        check_address(RECIPE, "")
    assert "not the cluster of RAY_ADDRESS=ray://head" in caplog.text
