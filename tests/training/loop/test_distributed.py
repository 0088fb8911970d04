"""Workers as real processes: DDP and FSDP learn what one process learns; what becomes of a worker's death or error."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file, save_file

from infolens.contract import Task
from tests.training.toys import small, toy_splits
from training.errors import DivergedError, StorageError
from training.loop.cluster import run
from training.loop.failures import shortage
from training.loop.jobs import Outcome
from training.loop.prepared import Prepared
from training.recipes.recipe import Recipe
from training.runs.fitting import Data, prepare

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.long]  # Ray's own, in its threads

TOLERANCE = 1e-4
"""Relative difference of losses: the order of the sums differs between one process and two."""
STEPS = 60
RECIPE = small(num_train_epochs=3.0, teacher=0.0, save_steps=15, logging_steps=15, per_device_train_batch_size=8)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    splits = toy_splits(Task.VERACITY, train=160)
    splits["train"]["weight"] = [1.0, 3.0, 0.5, 2.0] * 40  # of which each worker sees other ones
    data = Data(splits=splits)
    return prepare(Task.VERACITY, RECIPE, data, tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def alone(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What one process ends with."""
    return run(Task.VERACITY, RECIPE, prepared, tmp_path_factory.mktemp("alone"))


class Killer(threading.Thread):
    """Kills a worker once, when a checkpoint of step ``minimum`` or later is there; remembers the step."""

    def __init__(self, checkpoints: Any, minimum: int) -> None:
        super().__init__(daemon=True)
        self.checkpoints, self.minimum = checkpoints, minimum
        self.step = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.05):
            self.step = max(self.checkpoints(), default=0)
            if self.step >= self.minimum:
                ours = psutil.Process().children(recursive=True)  # and not those of a test beside this one
                workers = [process for process in ours if "RayTrainWorker" in " ".join(process.cmdline())]
                os.kill(workers[-1].pid, signal.SIGKILL)
                return


def _step(state: str) -> int:
    """The step of a checkpoint's state; 0 while the file is being written."""
    try:
        return int(json.loads(state)["global_step"])
    except ValueError:
        return 0


def _losses(outcome: Outcome, name: str) -> dict[int, float]:
    return {entry["step"]: entry[name] for entry in outcome.history if name in entry}


def _same(outcome: Outcome, alone: Outcome) -> None:
    # The trainer rounds the training loss to four digits before it logs it: the last one may fall either way.
    for name, rounding in (("loss", 1.01e-4), ("eval_loss", 0.0)):
        assert _losses(outcome, name) == pytest.approx(_losses(alone, name), rel=TOLERANCE, abs=rounding), name


def _two(strategy: str, **changes: object) -> Recipe:
    return small(**{**vars(RECIPE), "strategy": strategy, "workers": 2, "per_device_train_batch_size": 4, **changes})


@pytest.mark.usefixtures("ray_session")
def test_ddp_learns_what_one_process_learns(prepared: Prepared, alone: Outcome, tmp_path: Path) -> None:
    outcome = run(Task.VERACITY, _two("ddp"), prepared, tmp_path)
    assert outcome.steps == alone.steps == STEPS
    assert outcome.resumed_step == 0
    assert len(outcome.workers) == 2
    _same(outcome, alone)
    assert (outcome.checkpoint / "model.safetensors").is_file()


def _s3_steps(url: str) -> list[int]:
    import boto3

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = boto3.client("s3")
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    names = [entry["Key"] for entry in listed if entry["Key"].endswith("trainer_state.json")]
    return [_step(client.get_object(Bucket=bucket, Key=name)["Body"].read().decode()) for name in names]


@pytest.mark.usefixtures("ray_session")
def test_fsdp_learns_what_one_process_learns_and_goes_on_from_s3_after_a_kill(
    prepared: Prepared, alone: Outcome, s3: str, tmp_path: Path
) -> None:
    killer = Killer(lambda: _s3_steps(s3), 2 * RECIPE.save_steps)
    killer.start()
    outcome = run(Task.VERACITY, _two("fsdp", storage=s3), prepared, tmp_path)
    killer.over.set()
    killer.join()
    assert killer.step >= 2 * RECIPE.save_steps, "the run ended before a worker was killed"
    # A worker goes on only when Ray has its checkpoint, so when it was killed it was at this step, or had a later one.
    assert 0 < killer.step - RECIPE.save_steps <= outcome.resumed_step, "more than one interval was lost"
    assert outcome.steps == STEPS
    _same(outcome, alone)
    assert (outcome.checkpoint / "model.safetensors").is_file()
    assert (outcome.checkpoint / "average.safetensors").is_file()


def test_a_storage_that_refuses_is_said_before_the_run(prepared: Prepared, s3: str, tmp_path: Path) -> None:
    place = f"{s3.replace('runs', 'nobodys')}/x"
    with pytest.raises(StorageError, match=r"cannot be written to: .*AWS_ENDPOINT_URL"):
        run(Task.VERACITY, _two("ddp", storage=place), prepared, tmp_path)
    with pytest.raises(StorageError, match=r"neither Arrow .* nor fsspec .* can open it"):
        run(Task.VERACITY, _two("ddp", storage="nowhere://bucket"), prepared, tmp_path)


@pytest.fixture(scope="module")
def spoilt(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The prepared run with a model of which every answer is not a number."""
    folder = tmp_path_factory.mktemp("spoilt") / "prepared"
    shutil.copytree(prepared.folder, folder)
    weights = load_file(folder / "model" / "model.safetensors")
    spoilt = {name: value * float("nan") if name.startswith("logits") else value for name, value in weights.items()}
    save_file(spoilt, folder / "model" / "model.safetensors", metadata={"format": "pt"})
    return replace(prepared, folder=folder)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loss_that_is_no_number_ends_the_run_at_once_and_is_never_saved(
    spoilt: Prepared, workers: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = small(**{**vars(RECIPE), "workers": workers, "max_failures": 2, "save_steps": 3})
    with pytest.raises(DivergedError, match=r"^the loss is nan at step 3: lower learning_rate or max_grad_norm"):
        run(Task.VERACITY, recipe, spoilt, tmp_path)
    assert "try 2 of 3" not in capfd.readouterr().err
    assert list(tmp_path.rglob("trainer_state.json")) == []


def test_a_run_that_is_at_its_last_step_trains_no_more(prepared: Prepared, tmp_path: Path) -> None:
    recipe = small(**{**vars(RECIPE), "max_steps": 25})
    outcomes = [run(Task.VERACITY, recipe, prepared, tmp_path) for _ in range(2)]
    assert [outcome.steps for outcome in outcomes] == [25, 25]
    assert outcomes[1].resumed_step == 25
    assert outcomes[0].checkpoint == outcomes[1].checkpoint


@pytest.mark.usefixtures("ray_session")
def test_what_ray_lacks_for_a_run_is_said() -> None:
    assert shortage({"CPU": 1}, 2) == ""
    assert shortage({"CPU": 3, "GPU": 0.5}, 2).startswith(
        "workers=2 ask for 3 CPU and 0.5 GPU each, and there is room for 0: Ray has "
    )
