"""A search for settings: trials in processes of their own, poor ones stopped early, and a recipe at the end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.errors import SettingError
from training.recipes.settings import read_toml, replace_fields
from training.runs import tuning
from training.runs.tuning import TUNED, Search, tune_recipe
from training.tracking.client import Tracking, open_client

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("ray_session")]  # Ray's and MLflow's own


def test_a_poor_trial_stops_early_and_the_best_gives_a_recipe(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = toy_file(Task.VERACITY, tmp_path / "data.csv", train=160)
    recipe = small(num_train_epochs=3.0, teacher=0.0, data=str(data))
    # One trial has a rate that learns, and comes first, so that the other has something to lose to.
    fixed = {
        "learning_rate": [4e-3, 1e-6], "per_device_train_batch_size": 8, "optim": "adamw_torch",
        "warmup_ratio": 0.1, "weight_decay": 0.01,
    }  # fmt: skip

    def grid(recipe: object, search: object) -> dict[str, object]:
        from ray import tune

        return fixed | {"learning_rate": tune.grid_search(fixed["learning_rate"])}

    monkeypatch.setattr(tuning, "space", grid)
    search = Search(samples=1, measurements=3)
    found = tune_recipe(Task.VERACITY, recipe, tmp_path / "search", search, tracking=tracking)
    assert found.trials == 2
    assert found.stopped_early == 1
    assert found.score > 0.9
    assert found.recipe.learning_rate == 4e-3
    saved = read_toml(tmp_path / "search" / "best.toml")
    assert saved.pop("task") == "veracity"
    assert replace_fields(recipe, saved) == found.recipe

    client = open_client(tracking)
    runs = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(float(run.data.params["learning_rate"]) for run in children) == [1e-6, 4e-3]
    assert parent.data.metrics["best_macro_f1"] == pytest.approx(found.score)

    # The same command again finds everything done; another search does not mix with this one.
    again = tune_recipe(Task.VERACITY, recipe, tmp_path / "search", search, tracking=tracking)
    assert again == found
    with pytest.raises(SettingError, match=r"search: holds a search with other settings"):
        tune_recipe(Task.VERACITY, dataclasses.replace(recipe, seed=9), tmp_path / "search", search, tracking=tracking)
    assert main(["tune", "veracity", "--data", "x", "--out", "y", "--samples", "0"]) == 2
    assert "--samples is 1 or more, not 0" in capsys.readouterr().err


def test_the_space_surrounds_the_recipe() -> None:
    space = tuning.space(small(learning_rate=4e-3, per_device_train_batch_size=16), Search())
    assert set(space) == set(TUNED)
    assert (space["learning_rate"].lower, space["learning_rate"].upper) == pytest.approx((4e-4, 4e-2))
    assert space["per_device_train_batch_size"].categories == [8, 16, 32]
    assert "sgd" in space["optim"].categories
    low = tuning.space(small(learning_rate=3e-5), Search())["learning_rate"]
    assert (low.lower, low.upper) == (1e-5, 1e-3)
