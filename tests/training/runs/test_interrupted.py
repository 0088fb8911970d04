"""Runs that are stopped as people and orchestrators stop them, and that go on: real processes, MLflow, Ray and S3."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file, save_file

from infolens.contract import Task
from tests.training.toys import small, toy_file, toy_splits
from training.cli import main
from training.errors import DivergedError, StoppedError, StorageError, TrainingError
from training.loop import cluster
from training.recipes.settings import to_toml
from training.runs import fitting
from training.runs.fitting import Data, fit, prepare
from training.tracking.client import REASON, WORKED_S, Tracking, open_client
from training.tracking.recording import CHANGED

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's, MLflow's and SQLAlchemy's own

ROOT = Path(__file__).parents[3]
ENDLESS = small(teacher=0.0, max_steps=100_000, save_steps=10, logging_steps=10, max_failures=0)
SEEN_S = 240.0
"""When a process that does not come so far is given up."""


class Command:
    """A ``fit`` that never ends by itself, and the same with an end."""

    def __init__(self, folder: Path, tracking: Tracking, **changes: Any) -> None:
        self.out, self.tracking = folder / "checkpoint", tracking
        recipe = folder / "recipe.toml"
        recipe.write_text(to_toml(small(**{**vars(ENDLESS), **changes}), Task.VERACITY))
        data = toy_file(Task.VERACITY, folder / "data.csv", train=64)
        self.arguments = ["fit", "veracity", "--config", str(recipe), "--data", str(data), "--out", str(self.out)]
        self.arguments += ["--tracking-uri", tracking.uri, "--experiment", tracking.experiment]

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[str]]:
        """The command in a process group of its own, as a shell starts it."""
        with subprocess.Popen(
            [sys.executable, "-m", "training", *self.arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    def goes_on(self) -> dict[str, Any]:
        """Run it again, to the next step at most; returns what ``metrics.json`` holds."""
        assert main([*self.arguments, "--set", "max_steps=1"]) == 0
        return dict(json.loads((self.out / "metrics.json").read_text()))

    def runs(self) -> list[str]:
        """The status of each run in MLflow."""
        return [run.info.status for run in _runs(self.tracking)]


def _runs(tracking: Tracking) -> list[Any]:
    client = open_client(tracking)
    return list(client.search_runs([client.get_experiment_by_name(tracking.experiment).experiment_id]))


def _until(there: Callable[[], object], process: subprocess.Popen[str]) -> None:
    tick = threading.Event()
    for _ in range(int(SEEN_S / 0.05)):
        if there():
            return
        assert process.poll() is None, process.communicate()
        tick.wait(0.05)
    pytest.fail("the run has not come to a checkpoint")


def _step_of(stderr: str) -> int:
    """Which step the last line says that the same command goes on from."""
    said = re.fullmatch(
        r"stopped: the same command goes on from step (\d+); for that there is .*: delete (it|them) to begin anew",
        stderr.strip().splitlines()[-1],
    )
    assert said, stderr
    assert not re.search(r"^Traceback", stderr, re.MULTILINE)
    return int(said.group(1))


def test_one_process_that_is_interrupted_goes_on_and_is_one_finished_run(tmp_path: Path, tracking: Tracking) -> None:
    command = Command(tmp_path, tracking)
    with command.started() as process:
        partial = tmp_path / "checkpoint.partial"
        _until(lambda: list(partial.glob("steps/*/checkpoint-20/trainer_state.json")), process)
        os.killpg(process.pid, signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    step = _step_of(stderr)
    assert step >= 20
    assert command.runs() == ["KILLED"]
    spent = partial / "worked.json"
    (run,) = _runs(tracking)
    assert float(run.data.tags[WORKED_S]) == pytest.approx(json.loads(spent.read_text())["worked_s"], abs=5)
    spent.write_text('{"worked_s": 6000.0}')
    optimizers = [file.parent.name for file in partial.glob("steps/*/*/optimizer.pt")]
    assert optimizers == [f"checkpoint-{step}"], "only the newest checkpoint needs one"
    metrics = command.goes_on()
    assert metrics["steps"] == metrics["resumed_step"] == step
    assert metrics["minutes"] > 100, "both sessions are counted"
    assert command.runs() == ["FINISHED"]
    assert not partial.exists()


def test_a_run_that_fails_says_why_in_mlflow_and_that_goes_when_it_goes_on(tmp_path: Path, tracking: Tracking) -> None:
    recipe = small(teacher=0.0, max_steps=5, save_steps=5)
    data, work = Data(splits=toy_splits(Task.VERACITY, train=64)), tmp_path / "checkpoint.partial"
    prepared = prepare(Task.VERACITY, recipe, data, work)
    weights = load_file(prepared.model / "model.safetensors")
    spoilt = {name: value * float("nan") if name.startswith("logits") else value for name, value in weights.items()}
    save_file(spoilt, prepared.model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DivergedError, match=r"no checkpoint was there yet: the same command begins anew"):
        fit(Task.VERACITY, recipe, tmp_path / "checkpoint", data=data, tracking=tracking)
    assert [(run.info.status, run.data.tags[REASON].partition(":")[0]) for run in _runs(tracking)] == [
        ("FAILED", "the loss is nan at step 1")
    ]
    shutil.rmtree(prepared.folder)
    fit(Task.VERACITY, recipe, tmp_path / "checkpoint", data=data, tracking=tracking)
    assert [(run.info.status, REASON in run.data.tags) for run in _runs(tracking)] == [("FINISHED", False)]


def test_a_run_that_begins_anew_is_another_one_and_one_that_goes_on_says_what_changed(
    tmp_path: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = tmp_path / "checkpoint", Data(splits=toy_splits(Task.VERACITY, train=64))
    recipe = small(teacher=0.0, max_steps=5, save_steps=5, logging_steps=5)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_finish", _interrupt)
        for changes in ({}, {"learning_rate": 0.002}, {"width": 16}):
            with pytest.raises(StoppedError):
                fit(Task.VERACITY, dataclasses.replace(recipe, **changes), out, data=data, tracking=tracking)
    newest, first = _runs(tracking)
    assert {run.info.status for run in (newest, first)} == {"KILLED"}
    assert [run.data.params["width"] for run in (newest, first)] == ["16", "32"]
    assert [run.data.tags.get(CHANGED) for run in (newest, first)] == [None, "learning_rate=0.002"]


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_two_runs_with_the_same_out_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, data = tmp_path / "checkpoint", Data(splits=toy_splits(Task.VERACITY, train=64))
    recipe = small(teacher=0.0, max_steps=1)
    refused = []

    def meanwhile(*arguments: Any, **settings: Any) -> Any:
        with pytest.raises(StorageError, match=r"checkpoint\.partial: another run writes there now") as refusal:
            fit(Task.VERACITY, dataclasses.replace(recipe, seed=1), out, data=data)
        refused.append(refusal)
        return cluster.run(*arguments, **settings)

    monkeypatch.setattr("training.runs.fitting.run", meanwhile)
    assert fit(Task.VERACITY, recipe, out, data=data)["config"]["seed"] == recipe.seed
    assert refused


def test_a_folder_that_somebody_makes_meanwhile_costs_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "checkpoint"

    def meanwhile(*arguments: Any, **settings: Any) -> Any:
        (out / "of-others").mkdir(parents=True)
        return cluster.run(*arguments, **settings)

    monkeypatch.setattr("training.runs.fitting.run", meanwhile)
    with pytest.raises(TrainingError, match=r"the checkpoint is whole, in .*checkpoint\.partial/final: move it"):
        fit(Task.VERACITY, small(teacher=0.0, max_steps=1), out, data=Data(splits=toy_splits(Task.VERACITY, train=64)))
    assert (tmp_path / "checkpoint.partial" / "final" / "metrics.json").exists()


@pytest.mark.long
@pytest.mark.usefixtures("ray_session")
def test_a_run_on_ray_that_is_interrupted_leaves_no_process_and_goes_on_from_s3_and_leaves_nothing_there(
    tmp_path: Path, tracking: Tracking, s3: str
) -> None:
    import boto3

    bucket = boto3.resource("s3").Bucket("runs")
    bucket.put_object(Key="interrupted/somebody-elses", Body=b"1")

    def kept() -> list[str]:
        names = [entry.key.removeprefix("interrupted/") for entry in bucket.objects.filter(Prefix="interrupted/")]
        return [name for name in names if name and not name.endswith("/")]  # Arrow writes folders as such

    command = Command(tmp_path, tracking, workers=1, storage="s3://runs/interrupted")
    with command.started() as process:
        _until(lambda: any(name.endswith("checkpoint_manager_snapshot.json") for name in kept()), process)
        rays = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    step = _step_of(stderr)
    assert rays
    assert psutil.wait_procs(rays, timeout=60)[1] == [], "Ray's processes end with the run"
    assert command.runs() == ["KILLED"]
    assert {name.partition("-checkpoint-")[0] for name in kept()} == {"prepared", "run", "somebody-elses"}
    assert command.goes_on()["resumed_step"] == step
    assert command.runs() == ["FINISHED"]
    assert kept() == ["somebody-elses"]
