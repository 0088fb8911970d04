"""A store that the environment names, in a folder whose name is not plain."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.checkpoint.registry import checkpoint_found
from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.recipes.settings import to_toml
from training.tracking.client import Tracking, open_client

pytestmark = pytest.mark.slow


def test_a_run_its_workers_and_the_export_use_the_store_of_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "Meine Läufe"  # a space and an accent
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    toy_file(Task.VERACITY, place / "toy.csv", train=64)
    recipe = small(teacher=0.0, num_train_epochs=1.0, logging_steps=2)
    (place / "recipe.toml").write_text(to_toml(recipe, Task.VERACITY), encoding="utf-8")
    assert main(["fit", "veracity", "--config", "recipe.toml", "--data", "toy.csv", "--out", "out"]) == 0
    assert (place / "x.db").is_file()
    assert not (place / "mlruns" / "mlflow.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")  # MLflow writes the URI that it uses into it
    with checkpoint_found("models:/veracity@challenger") as found:
        assert (Path(found.source) / "config.json").is_file()
    client = open_client(Tracking.named("", experiment="infolens"))
    (run,) = client.search_runs([client.get_experiment_by_name("infolens").experiment_id])
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) > 1
