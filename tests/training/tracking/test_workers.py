"""Runs whose figures come from Ray's workers, recorded where no option says where: in ``mlruns/`` of the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.recipes.settings import to_toml
from training.tracking.client import VARIABLE, Tracking, open_client

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("ray_session"), pytest.mark.long]


@pytest.fixture(scope="module")
def place(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a run with one worker and a comparison of one cell have ended, both started by the command."""
    folder = tmp_path_factory.mktemp("a folder")
    recipe = small(
        teacher=0.0, num_train_epochs=2.0, logging_steps=2, workers=1, layers=1, width=16, vocabulary=150,
        lr_scheduler_type="constant",
    )  # fmt: skip
    toy_file(Task.VERACITY, folder / "toy.csv", train=64)
    (folder / "recipe.toml").write_text(to_toml(recipe, Task.VERACITY), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv(VARIABLE, "")  # as if it were not set; MLflow writes the URI that it uses into it
        settings = ["veracity", "--config", "recipe.toml", "--data", "toy.csv"]
        assert main(["fit", *settings, "--out", "fitted"]) == 0
        cells = ["--workers", "1", "--batches", "8", "--precisions", "fp32", "--accumulations", "1"]
        assert main(["compare", *settings, "--out", "compared", *cells]) == 0
        yield folder


@pytest.fixture(scope="module")
def client(place: Path) -> Any:
    return open_client(Tracking(uri=f"sqlite:///{place}/mlruns/mlflow.db"))


def curve(client: Any, run: Any, name: str) -> list[Any]:
    return list(client.get_metric_history(run.info.run_id, name))


def test_figures_arrive_while_a_worker_trains(place: Path, client: Any) -> None:
    experiment = client.get_experiment_by_name("infolens").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert set(runs) == {"fitted", "compare compared", "1 worker"}
    for name in ("fitted", "1 worker"):
        points = curve(client, runs[name], "train/loss")
        assert [point.step for point in points] == [*range(1, 17)]  # a short run logs more often than every 2 steps
        assert len({point.timestamp for point in points}) > 4  # each when it was logged, and not all at the end
        assert all(runs[name].info.start_time < point.timestamp < runs[name].info.end_time for point in points)
        assert [point.step for point in curve(client, runs[name], "validation/macro_f1")] == [8, 16]
        assert "train/learning_rate" not in runs[name].data.metrics  # a constant: it is among the parameters
    # The last point of the worker stands before the figures of the whole run, which come at the end.
    (measured,) = curve(client, runs["fitted"], "test/macro_f1")
    assert curve(client, runs["fitted"], "train/loss")[-1].timestamp < measured.timestamp


def test_nothing_strays_into_the_folders_of_workers(place: Path) -> None:
    import ray

    session = Path("/tmp/ray") / ray.get_runtime_context().get_session_name()
    assert session.is_dir()
    assert [*session.rglob("mlflow.db"), *session.rglob("mlruns")] == []
    assert [path.relative_to(place) for path in place.rglob("*.db")] == [Path("mlruns/mlflow.db")]
    assert {path.name for path in (place / "mlruns").iterdir()} == {"mlflow.db", "artifacts"}


def test_a_comparison_is_a_run_with_a_nested_run_for_each_cell(place: Path, client: Any) -> None:
    experiment = client.get_experiment_by_name("infolens").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    parent, cell = runs["compare compared"], runs["1 worker"]
    assert cell.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.info.status == cell.info.status == "FINISHED"
    measured = json.loads((place / "compared" / "compare.json").read_text())["cells"]["1 worker"]
    assert cell.data.metrics["cost/step_ms"] == pytest.approx(measured["step_ms"])
    assert cell.data.metrics["cost/train_s"] == pytest.approx(measured["train_s"])
    assert cell.data.metrics["cost/peak_memory_mb"] == pytest.approx(measured["peak_memory_bytes"] / 1e6)
    assert cell.data.metrics["validation/loss"] == pytest.approx(measured["validation_loss"])
    assert cell.data.params["strategy"] == "single"
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "compare.json", "compare.md", "compare.png",
    }  # fmt: skip
    assert "| 1 worker |" in parent.data.tags["mlflow.note.content"]
