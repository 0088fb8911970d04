"""Where runs are recorded and seen: addresses that mean the same everywhere, files beside the store, nothing twice."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training.errors import TrackingError
from training.tracking import live
from training.tracking.client import VARIABLE, Tracking, open_client, open_run
from training.tracking.figures import Curves
from training.tracking.watching import where_to_watch

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


def test_the_default_store_makes_its_own_folder(empty_store: Path) -> None:
    assert empty_store.is_file()
    experiment = open_client(Tracking(uri=f"sqlite:///{empty_store}")).get_experiment_by_name("infolens")
    assert experiment.artifact_location == (empty_store.parent / "artifacts").as_uri()
    assert "test/..." in experiment.tags["mlflow.note.content"]


def test_a_store_that_could_not_be_made_whole_is_made_anew(tmp_path: Path) -> None:
    tracking = Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))  # as on a disk that is full
    try:
        with pytest.raises(TrackingError, match="the database cannot be opened"):
            open_client(tracking)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert open_client(tracking).get_experiment_by_name("infolens")
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("by", ["option", "variable"])
def test_the_files_of_runs_lie_beside_the_store_that_was_named(
    by: str, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "else where").mkdir()
    shutil.copy(empty_store, tmp_path / "else where" / "x.db")
    named = "sqlite:///else where/x.db"
    monkeypatch.setenv(VARIABLE, named if by == "variable" else "sqlite:///unused.db")
    tracking = Tracking.named(named if by == "option" else "", experiment="new")
    (tmp_path / "workers").mkdir()
    monkeypatch.chdir(tmp_path / "workers")  # an address means the same wherever a process is
    experiment = open_client(tracking).get_experiment_by_name("new")
    assert experiment.artifact_location == (tmp_path / "else where" / "artifacts").as_uri()
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("else where", "workers")] == []
    assert list((tmp_path / "workers").iterdir()) == []


def test_where_a_run_can_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    ours = Tracking.named("", experiment="infolens")
    page = "#/experiments/1/runs/abc?workflowType=machine_learning"  # without the latter, a page about traces
    command = f"python -m mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert where_to_watch(ours, "1", "abc") == f"{command} shows it at http://127.0.0.1:5000/{page}"
    server = Tracking(uri="https://anna:secret@mlflow.example/sub/")
    assert where_to_watch(server, "1", "abc") == f"https://mlflow.example/sub/{page}"
    database = Tracking(uri="postgresql://anna:secret@db.example/mlflow")
    assert "secret" not in where_to_watch(database, "1", "abc")


def test_no_point_is_sent_twice(tracking: Tracking) -> None:
    client = open_client(tracking)
    run_id = open_run(client, tracking, "a run", tags={})
    first = Curves(client, run_id)
    for step in (10, 20, 30):
        first.send([{"loss": 1.0, "learning_rate": 0.1, "epoch": 1.0, "step": step}])
    # Killed; the run goes on from a checkpoint at step 15, and repeats what the server has.
    again = Curves(client, run_id, constant_rate=True)
    for step in (20, 30, 40):
        again.send([{"loss": 2.0, "learning_rate": 0.1, "step": step}, {"eval_loss": 1.5, "step": step}])
    again.send([{"train_loss": 1.0, "train_runtime": 3.0, "step": 40}])
    points = client.get_metric_history(run_id, "train/loss")
    assert [(point.step, point.value) for point in points] == [(10, 1.0), (20, 1.0), (30, 1.0), (40, 2.0)]
    assert [point.step for point in client.get_metric_history(run_id, "train/learning_rate")] == [10, 20, 30]
    assert [point.step for point in client.get_metric_history(run_id, "validation/loss")] == [20, 30, 40]
    assert set(client.get_run(run_id).data.metrics) == {"train/loss", "train/learning_rate", "validation/loss"}


def test_the_default_store_is_the_same_for_workers_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = Tracking().anywhere
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sent.resolved == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def test_points_that_a_server_missed_are_sent_when_it_answers_again(
    tracking: Tracking,
) -> None:
    client = open_client(tracking)
    run_id = open_run(client, tracking, "a run", tags={})
    seen = live.LiveMetrics(tracking, run_id)
    assert seen.curves is not None
    answering, away = seen.curves.client, _Away()
    args = SimpleNamespace(lr_scheduler_type="linear")

    def log(step: int) -> None:
        state = SimpleNamespace(is_world_process_zero=True, global_step=step)
        seen.on_log(args, state, None, logs={"loss": 1.0})

    log(10)
    seen.curves.client = away
    log(20)
    log(30)
    log(40)
    assert away.asked == 1  # a server that is away is left alone for a while
    seen.curves.client = answering
    seen.on_train_end(args, None, None)
    points = client.get_metric_history(run_id, "train/loss")
    assert [point.step for point in points] == [10, 20, 30, 40]
    log(50)
    assert [point.step for point in client.get_metric_history(run_id, "train/loss")] == [10, 20, 30, 40, 50]


class _Away:
    """A client whose server does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def log_batch(self, *_: Any, **__: Any) -> None:
        self.asked += 1
        raise ConnectionError("away")
