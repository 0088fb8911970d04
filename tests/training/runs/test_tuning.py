"""A search for settings: trials in processes of their own, poor ones stopped early, and a recipe at the end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infolens.contract import Task
from tests.training.toys import small, toy_file
from training.cli import main
from training.errors import RunError, SettingError
from training.recipes.settings import read_toml, replace_fields, to_toml
from training.runs import tuning
from training.runs.fitting import load_data
from training.runs.search import running
from training.runs.search.board import TUNED, Board, Point, State, Trial, shown
from training.runs.search.nested import Nested
from training.runs.search.report import table
from training.runs.search.running import Search, space
from training.runs.tuning import Found, tune_recipe
from training.tracking.client import WORKED_S, Tracking, open_client
from training.tracking.recording import HASH_DIGITS

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.long]  # Ray's and MLflow's own
ROOT = Path(__file__).parents[3]
SETTINGS = {
    "learning_rate": 4e-3, "per_device_train_batch_size": 8, "optim": "adamw_torch", "warmup_ratio": 0.1,
    "weight_decay": 0.01,
}  # fmt: skip


def runs_of(client: Any) -> tuple[Any, dict[int, Any]]:
    """The run of a search, and those of its trials by number: one run a trial."""
    runs = client.search_runs([client.get_experiment_by_name("infolens").experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    trials = {int(run.data.tags["trial"]): run for run in nested}
    assert len(trials) == len(nested) == len(runs) - 1
    return parent, trials


def curve_of(client: Any, run: Any) -> list[Any]:
    """The points of a run's loss, in the order in which they were sent."""
    name = next(name for name in ("train/loss", "train_loss") if name in run.data.metrics)
    return sorted(client.get_metric_history(run.info.run_id, name), key=lambda point: (point.timestamp, point.step))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Searched:
    """A search of three trials: one that learns, one that does not, one that is refused."""

    found: Found
    folder: Path
    client: Any
    recipe: Any


@pytest.fixture(scope="module")
def searched(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("searched")
    data = toy_file(Task.VERACITY, folder / "data.csv", train=160)
    recipe = small(num_train_epochs=3.0, teacher=0.0, logging_steps=2, data=str(data))

    rates = iter([4e-3, 1e-6, 7.0])

    def given(recipe: object, search: object) -> dict[str, object]:
        from ray import tune

        # The one that learns comes first, so that the next has something to lose to.
        return SETTINGS | {"learning_rate": tune.sample_from(lambda _: next(rates))}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(running, "space", given)
        search = Search(samples=3, measurements=3)
        found = tune_recipe(Task.VERACITY, recipe, folder / "search", search, tracking=Tracking())
        yield Searched(found=found, folder=folder, client=open_client(Tracking()), recipe=recipe)


def test_a_poor_trial_stops_early_and_the_best_gives_a_recipe(searched: Searched) -> None:
    found, out = searched.found, searched.folder / "search"
    assert (found.trials, found.stopped_early, found.failed, found.unfinished) == (3, 1, 1, 0)
    assert found.score > 0.9
    assert found.recipe.learning_rate == 4e-3
    saved = read_toml(out / "best.toml")
    assert saved.pop("task") == "veracity"
    assert replace_fields(searched.recipe, saved) == found.recipe

    first, second, third = json.loads((out / "trials.json").read_text())
    assert [trial["state"] for trial in (first, second, third)] == ["finished", "stopped early", "failed"]
    assert [step for step, _ in first["scores"]] == [20, 40, 60]
    assert second["measurements"] == 1
    assert third["error"] == "learning_rate lies between 0 and 1, not 7.0"
    lines = (out / "trials.md").read_text().splitlines()
    assert lines[0].startswith("3 of 3 trials done, 1 of them failed; best macro_f1 ")
    assert [line.split("|")[1].strip() for line in lines[4:]] == ["1", "2", "3"]
    assert (out / "tuning.png").stat().st_size > 5000


def test_each_trial_is_a_run_below_the_searchs_own_and_can_be_watched(searched: Searched) -> None:
    client = searched.client
    parent, trials = runs_of(client)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["best/macro_f1"] == pytest.approx(searched.found.score)
    assert {item.path for item in client.list_artifacts(parent.info.run_id)} == {
        "best.toml", "trials.json", "trials.md", "tuning.png",
    }  # fmt: skip
    assert "| 2 |" in parent.data.tags["mlflow.note.content"]
    took_s = sum(entry["train_s"] for entry in json.loads((searched.folder / "search" / "trials.json").read_text()))
    assert float(parent.data.tags[WORKED_S]) == pytest.approx(took_s, abs=0.3)
    recorded = {entry.tags[0].value: entry.dataset.digest for entry in parent.inputs.dataset_inputs}
    assert recorded["test"] == load_data(Task.VERACITY, searched.recipe).hashes["test"][:HASH_DIGITS]
    assert [trials[number].info.run_name for number in (1, 2, 3)] == [f"trial {number} of 3" for number in (1, 2, 3)]
    assert [trials[number].info.status for number in (1, 2, 3)] == ["FINISHED", "FINISHED", "FAILED"]
    assert [float(trials[number].data.params["learning_rate"]) for number in (1, 2, 3)] == [4e-3, 1e-6, 7.0]
    assert set(trials[1].data.params) == set(TUNED)
    assert trials[1].data.metrics["score/macro_f1"] == pytest.approx(searched.found.score)
    assert [trials[number].data.tags.get("stopped_early") for number in (1, 2, 3)] == [None, "true", None]
    assert trials[3].data.tags["reason"] == "learning_rate lies between 0 and 1, not 7.0"
    points = curve_of(client, trials[1])
    assert [point.step for point in points] == [*range(2, 61, 2)]
    assert len({point.timestamp for point in points}) > 3  # sent while it trained
    assert len(list(searched.folder.rglob("mlflow.db"))) == 1


def test_nothing_is_kept_that_only_training_needs(searched: Searched) -> None:
    assert list(searched.folder.rglob("*.safetensors")) == [searched.folder / "search/prepared/model/model.safetensors"]
    assert list(searched.folder.rglob("optimizer.pt")) == []


def test_a_trial_that_no_machine_has_room_for_is_refused(ray_session: None, tmp_path: Path) -> None:
    data = toy_file(Task.VERACITY, tmp_path / "data.csv", train=32)
    recipe = small(teacher=0.0, data=str(data), cpus_per_worker=64)
    with pytest.raises(SettingError, match="a trial asks for 64 cores, and the largest machine of Ray has 4"):
        tune_recipe(Task.VERACITY, recipe, tmp_path / "search", Search(), tracking=Tracking(uri="none"))
    with pytest.raises(SettingError, match=r"search: holds a search with other settings"):
        tune_recipe(
            Task.VERACITY, dataclasses.replace(recipe, seed=9), tmp_path / "search", Search(),
            tracking=Tracking(uri="none"),
        )  # fmt: skip


def test_a_search_that_is_stopped_goes_on_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = toy_file(Task.VERACITY, tmp_path / "data.csv", train=160)
    # Long enough that a trial is still busy when the first of its two measurements has been read.
    recipe = small(num_train_epochs=40.0, teacher=0.0, logging_steps=50, data=str(data))
    (tmp_path / "recipe.toml").write_text(to_toml(recipe, Task.VERACITY))
    arguments = [
        "tune",
        "veracity",
        "--config",
        "recipe.toml",
        "--out",
        "search",
        "--samples",
        "2",
        "--measurements",
        "2",
    ]
    command = [sys.executable, "-m", "training", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'clients'}:{ROOT}"}
    environment.pop("MLFLOW_TRACKING_URI", None)

    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr is not None
        read = []
        for line in process.stderr:
            read.append(line)
            if "trial 1 of 2: macro_f1" in line:
                os.killpg(process.pid, signal.SIGTERM)  # as `timeout` sends it: to Ray too, were it in that group
                break
        read += process.stderr.readlines()
    assert process.returncode == 143, "".join(read)
    assert read[-1].startswith("stopped: 0 of 2 trials done; best macro_f1 "), "".join(read)
    assert "the same command goes on" in read[-1]
    out = tmp_path / "search"
    assert not (out / "best.toml").exists()
    assert len(list(out.glob("trials/trial-*/steps/checkpoint-*"))) == 1
    client = open_client(Tracking())
    parent, trials = runs_of(client)
    assert parent.info.status == trials[1].info.status == "KILLED"

    assert main(["tune", "veracity", "--out", "search", "--best-so-far"]) == 0
    assert json.loads(capsys.readouterr().out)["unfinished"] == 1
    assert (out / "best.toml").exists()

    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["trials"], told["unfinished"], told["failed"]) == (2, 0, 0)
    assert done.stderr.count("trial 1 of 2: macro_f1") == 1  # its first half was not trained again
    again, trials = runs_of(client)
    assert again.info.run_id == parent.info.run_id
    assert {run.info.status for run in (again, *trials.values())} == {"FINISHED"}
    assert json.loads((out / "trials.json").read_text())[0]["measurements"] == 2
    if "train/loss" in trials[1].data.metrics:
        steps = [point.step for point in curve_of(client, trials[1])]
        assert len(steps) == len(set(steps))
    assert sorted(path.name for path in out.iterdir()) == [
        "best.toml", "run_id", "search.json", "trials.json", "trials.md", "tuning.png",
    ]  # fmt: skip

    # A search that is done is done: the same command starts nothing.
    for name in ("ray_ahead", "ray_for"):
        monkeypatch.setattr(tuning, name, lambda *_, **__: pytest.fail("started Ray"))
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_the_space_surrounds_the_recipe() -> None:
    found = space(small(learning_rate=4e-3, per_device_train_batch_size=16), Search())
    assert set(found) == set(TUNED)
    assert (found["learning_rate"].lower, found["learning_rate"].upper) == pytest.approx((4e-4, 4e-2))
    assert found["per_device_train_batch_size"].categories == [8, 16, 32]
    assert "sgd" in found["optim"].categories
    low = space(small(learning_rate=3e-5), Search())["learning_rate"]
    assert (low.lower, low.upper) == (1e-5, 1e-3)


def test_trials_are_told_best_first_and_read_again(tmp_path: Path) -> None:
    board = Board(folder=tmp_path, score="loss", higher_is_better=False, total=4)
    for number, score, state in ((1, 0.7, State.FINISHED), (2, 0.2, State.FAILED), (3, 0.5, State.RUNNING)):
        trial = Trial(number=number, settings=SETTINGS, state=state, error="a | b" if state is State.FAILED else "")
        trial = trial.measured(Point(step=20, score=9.0, loss=9.0)).measured(Point(step=10, score=score, loss=score))
        assert [point.step for point in trial.points] == [10]  # it went on from before its last measurement
        board.put(trial)
    board.put(Trial(number=4, settings=SETTINGS))
    assert [trial.number for trial in board.ranked()] == [3, 1, 2, 4]
    assert board.told() == f"2 of 4 trials done, 1 of them failed; best loss 0.5 (trial 3: {shown(SETTINGS)})"
    assert shown(SETTINGS).startswith("learning_rate 0.004, batch 8, optimizer adamw_torch, warm-up 0.1")
    assert table(board, limit=3).splitlines()[-3:] == [
        "| 2 | 0.2000 | 0.004 | 8 | adamw_torch | 0.1 | 0.01 | 1 | 0.0 | failed: a \\| b |",
        "",
        "And 1 more, in trials.md.",
    ]
    again = Board.read(tmp_path, score="loss", higher_is_better=False, total=4)
    assert again.count(State.UNFINISHED) == 2  # what ran when its search was killed
    assert [trial.score for trial in again.ranked()] == [trial.score for trial in board.ranked()]
    assert not again.complete
    (tmp_path / "trials.json").write_text('[{"score": 1}]')
    with pytest.raises(SettingError, match="is no list of trials"):
        Board.read(tmp_path, score="loss", higher_is_better=False, total=4)


def test_what_cannot_be_searched_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "veracity", "--data", "x", "--out", str(tmp_path / "y"), "--samples", "0"]) == 2
    assert "--samples is 1 or more, not 0" in capsys.readouterr().err
    assert main(["tune", "veracity", "--out", str(tmp_path), "--best-so-far"]) == 2
    assert "holds no search" in capsys.readouterr().err
    board = Board(folder=tmp_path, score="macro_f1", higher_is_better=True, total=1)
    board.put(Trial(number=1, settings=SETTINGS, state=State.FAILED, error="the disk is full"))
    nested = Nested(client=None, tracking=Tracking(uri="none"), parent="")
    with pytest.raises(RunError, match="no trial came to a measurement: the disk is full"):
        tuning._finish(Task.VERACITY, small(), board, nested)
