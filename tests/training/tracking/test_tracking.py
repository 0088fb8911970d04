"""Runs in a real MLflow store: what a person finds there, the registry, and a server that goes away."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from export.checkpoint.checkpoint import load_checkpoint
from export.checkpoint.registry import checkpoint_found
from export.errors import CheckpointError
from infolens.contract import Task
from tests.training.tasks.test_summarizer import SMALL as SMALL_SUMMARIZER
from tests.training.tasks.test_summarizer import article, articles
from tests.training.toys import small, toy_file, toy_splits
from training.errors import RunError, TrackingError
from training.models.architectures import load_prepared
from training.runs.fitting import Data, fit
from training.runs.registry import promote
from training.tracking import about
from training.tracking.client import Tracking, open_client
from training.tracking.live import LiveMetrics
from training.tracking.recording import record

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # MLflow's and SQLAlchemy's own
    pytest.mark.usefixtures("quick_answers"),
]
DATA = Data(splits=toy_splits(Task.VERACITY))
QUICK = small(num_train_epochs=2.0, teacher=0.0, logging_steps=4, data="toy.csv")


@pytest.fixture
def quick_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")


@pytest.fixture(scope="module")
def store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_store, folder / "mlflow.db")
    return Tracking(uri=f"sqlite:///{folder}/mlflow.db", experiment="test")


@pytest.fixture(scope="module")
def fitted(store: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fit(Task.VERACITY, QUICK, folder / "first", data=DATA, tracking=store)
    return folder / "first"


def test_a_run_shows_what_a_person_looks_for(store: Tracking, fitted: Path) -> None:
    client = open_client(store)
    (run,) = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert run.data.params["learning_rate"] == "0.004"
    assert run.data.params["task"] == "veracity"
    assert run.data.tags["git_revision"]
    assert {"mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"} <= set(run.data.tags)
    # The settings that matter, and not the forty that are as the default recipe has them.
    assert {"data", "width", "vocabulary"} <= set(run.data.params)
    assert not {"lora_rank", "storage", "validation", "optim"} & set(run.data.params)
    assert len(run.data.params) < 30
    metrics = json.loads((fitted / "metrics.json").read_text())
    note = run.data.tags["mlflow.note.content"]
    assert "small model from scratch" in note
    score = metrics["test"]["macro_f1"]
    assert f"macro-F1 {score:.4g} (baseline 1)" in note
    assert run.data.metrics["test/macro_f1"] == pytest.approx(score)
    assert run.data.metrics["baseline/accuracy"] == 1.0
    # The mean loss of the run, which the trainer logs at the end, is no point of the curve.
    assert steps_of(client, run.info.run_id, "train/loss") == [*range(4, 81, 4)]
    assert run.data.metrics["train/mean_loss"] > run.data.metrics["train/loss"]
    assert len(steps_of(client, run.info.run_id, "validation/macro_f1")) == 2
    assert "validation/log_loss" not in run.data.metrics  # it is validation/loss
    constant = {"train/epoch", "validation/epoch", "test/articles", "baseline/articles"}
    assert not constant & set(run.data.metrics)
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"plots", "recipe.toml", "metrics.json", "history.json"} <= names
    assert {item.path for item in client.list_artifacts(run.info.run_id, "plots")} == {
        f"plots/{name}.png" for name in ("overview", "loss", "confusion", "calibration")
    }
    datasets = {entry.tags[0].value: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    assert datasets["train"] == metrics["data_hash"]["train"][:12]
    version = client.get_model_version_by_alias("veracity", "challenger")
    assert version.run_id == run.info.run_id
    assert version.description.startswith(f"macro-F1 {score:.4g} (baseline 1)")
    assert not set("*`") & set(version.description + client.get_registered_model("veracity").description)
    # What promotions and exports need; the other figures are the run's.
    assert sorted(version.tags) == [
        *("baseline_macro_f1", "data_hash", "git_revision", "recipe_hash", "test_hash", "test_macro_f1")
    ]
    assert "veracity@champion" in client.get_registered_model("veracity").description
    import mlflow

    info = mlflow.models.get_model_info(f"models:/veracity/{version.version}")
    assert info.signature is not None
    assert info.saved_input_example_info is not None


def test_passes_that_a_number_of_steps_overrules_are_no_parameter() -> None:
    assert "num_train_epochs" in about.parameters(Task.VERACITY, vars(QUICK))
    found = about.parameters(Task.VERACITY, vars(small(max_steps=5)))
    assert ("num_train_epochs" in found, found["max_steps"]) == (False, 5)


def test_the_first_champion_a_better_one_and_the_export(store: Tracking, fitted: Path, tmp_path: Path) -> None:
    first = promote(Task.VERACITY, store)
    assert first.promoted
    assert "version 1 is the first champion" in first.text
    assert "is the champion already" in promote(Task.VERACITY, store).text

    metrics = json.loads((fitted / "metrics.json").read_text())
    worse = _copy(fitted, tmp_path / "worse", macro_f1=metrics["test"]["macro_f1"] + 0.001)
    record(worse, store)
    verdict = promote(Task.VERACITY, store)
    assert not verdict.promoted
    assert "a gain of +0.0010, and 0.002 is asked for" in verdict.text
    assert promote(Task.VERACITY, store, margin=0.0005).promoted

    other = _copy(fitted, tmp_path / "other", macro_f1=0.999)
    changed = json.loads((other / "metrics.json").read_text())
    changed["data_hash"]["test"] = "another"
    (other / "metrics.json").write_text(json.dumps(changed))
    record(other, store)
    with pytest.raises(TrackingError, match=r"versions 3 and 2 were tested on different articles.*--data PATH"):
        promote(Task.VERACITY, store)
    data = toy_file(Task.VERACITY, tmp_path / "frozen.parquet")
    verdict = promote(Task.VERACITY, store, data=str(data))  # the same weights, measured anew: no better
    assert not verdict.promoted
    assert "a gain of +0.0000" in verdict.text

    with checkpoint_found("models:/veracity@champion", tracking_uri=store.uri) as found:
        checkpoint = load_checkpoint(Task.VERACITY, found.source)
        assert checkpoint.max_tokens == 32
        place = Path(found.source)
    assert not place.exists()
    with (
        pytest.raises(CheckpointError, match=r"models:/veracity@nobody: sqlite.* does not give it"),
        checkpoint_found("models:/veracity@nobody", tracking_uri=store.uri),
    ):
        pass
    with pytest.raises(TrackingError, match=r"there is no model 'category' with the alias 'challenger'"):
        promote(Task.CATEGORY, store)


def test_a_summarizer_is_recorded_fetched_and_asked(store: Tracking, tmp_path: Path) -> None:
    fit(Task.SUMMARY, SMALL_SUMMARIZER, tmp_path / "summary", data=articles(2), tracking=store)
    assert promote(Task.SUMMARY, store, at_least=0).promoted
    with checkpoint_found("models:/summary@champion", tracking_uri=store.uri) as found:
        files = {file.name for file in Path(found.source).iterdir()}
        assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= files
        assert not {"plots", "metrics.json"} & files
        with (tmp_path / "summary" / "model.safetensors").open("rb") as kept:
            assert (Path(found.source) / "model.safetensors").read_bytes() == kept.read()
    import mlflow

    mlflow.set_tracking_uri(store.uri)
    loaded = mlflow.pyfunc.load_model("models:/summary@champion")
    assert loaded.metadata.signature is not None
    text = article(7)
    (summary,) = loaded.predict([text])
    model, tokenizer = load_prepared(Task.SUMMARY, tmp_path / "summary")
    with torch.inference_mode():
        expected = model.generate(**tokenizer([text], return_tensors="pt"))
    assert [summary] == [text.strip() for text in tokenizer.batch_decode(expected, skip_special_tokens=True)]
    assert summary


def _copy(folder: Path, to: Path, *, macro_f1: float) -> Path:
    """The same checkpoint with another score, not yet recorded."""
    shutil.copytree(folder, to)
    (to / "mlflow.json").unlink()
    metrics = json.loads((to / "metrics.json").read_text())
    metrics["test"]["macro_f1"] = macro_f1
    (to / "metrics.json").write_text(json.dumps(metrics))
    return to


def steps_of(client: Any, run_id: str, name: str) -> list[int]:
    """The steps of a curve's points, as often as they were sent."""
    return sorted(point.step for point in client.get_metric_history(run_id, name))


def test_a_server_that_is_not_there_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    gone = Tracking(uri="http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"--tracking-uri http://127.0.0.1:9: no MLflow server answers there"):
        fit(Task.VERACITY, QUICK, tmp_path / "out", data=DATA, tracking=gone)
    assert list(tmp_path.iterdir()) == []


class _Gone(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)

    do_POST = do_GET  # noqa: N815 - the server's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def gone() -> Iterator[str]:
    """A server that answers nothing but 503."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gone)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_goes_away_costs_no_finished_work(
    store: Tracking, gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = LiveMetrics.on_log

    def goes_away(self: LiveMetrics, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.global_step > 30:
            import mlflow

            if self.curves is not None:
                self.curves.client = mlflow.MlflowClient(gone)
            monkeypatch.setattr(Tracking, "resolved", property(lambda self: gone))
        kept(self, args, state, control, logs, **kwargs)

    monkeypatch.setattr(LiveMetrics, "on_log", goes_away)
    with pytest.raises(
        TrackingError, match=r"the checkpoint is whole, in .*/out, but MLflow did not take it: .*training record"
    ):
        fit(Task.VERACITY, QUICK, tmp_path / "out", data=DATA, tracking=store)
    assert (tmp_path / "out" / "model.safetensors").is_file()
    monkeypatch.undo()

    record(tmp_path / "out", store)
    client = open_client(store)
    run_id = json.loads((tmp_path / "out" / "mlflow.json").read_text())["run_id"]
    assert steps_of(client, run_id, "train/loss") == [*range(4, 81, 4)]
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_run_that_broke_off_goes_on_with_its_curves(
    tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = LiveMetrics.on_log

    def breaks_off(self: LiveMetrics, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        kept(self, args, state, control, logs, **kwargs)
        if state.global_step == 68:  # the last checkpoint is that of step 40
            raise RuntimeError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(LiveMetrics, "on_log", breaks_off)
        with pytest.raises(RunError, match="the machine went down"):
            fit(Task.VERACITY, QUICK, tmp_path / "out", data=DATA, tracking=tracking)
    metrics = fit(Task.VERACITY, QUICK, tmp_path / "out", data=DATA, tracking=tracking)
    assert metrics["resumed_step"] == 40
    client = open_client(tracking)
    (run,) = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    assert run.info.status == "FINISHED"
    assert steps_of(client, run.info.run_id, "train/loss") == [*range(4, 81, 4)]
    assert steps_of(client, run.info.run_id, "validation/loss") == [40, 80]
