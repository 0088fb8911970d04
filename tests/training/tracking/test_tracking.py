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
from export.checkpoint.registry import checkpoint_folder
from export.errors import CheckpointError
from infolens.contract import Task
from tests.training.tasks.test_summarizer import SMALL as SMALL_SUMMARIZER
from tests.training.tasks.test_summarizer import article, articles
from tests.training.toys import small, toy_file, toy_splits
from training.errors import TrackingError
from training.models.architectures import load_prepared
from training.runs.fitting import Data, fit
from training.runs.registry import promote
from training.tracking.client import Tracking, open_client
from training.tracking.live import LiveMetrics
from training.tracking.recording import record

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # MLflow's and SQLAlchemy's own
    pytest.mark.usefixtures("quick_answers"),
]
DATA = Data(splits=toy_splits(Task.VERACITY))
QUICK = small(num_train_epochs=2.0, teacher=0.0, logging_steps=10, data="toy.csv")


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
    assert "small model from scratch" in run.data.tags["mlflow.note.content"]
    metrics = json.loads((fitted / "metrics.json").read_text())
    assert run.data.metrics["test_macro_f1"] == pytest.approx(metrics["test"]["macro_f1"])
    assert run.data.metrics["baseline_accuracy"] == 1.0
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "train_loss") if point.step]
    assert sorted(set(steps)) == [*range(10, 81, 10)]
    assert len(client.get_metric_history(run.info.run_id, "validation_macro_f1")) == 2  # nothing is sent twice
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"plots", "recipe.toml", "metrics.json", "history.json"} <= names
    assert {item.path for item in client.list_artifacts(run.info.run_id, "plots")} == {
        f"plots/{name}.png" for name in ("loss", "confusion", "calibration")
    }
    datasets = {entry.tags[0].value: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    assert datasets["train"] == metrics["data_hash"]["train"][:36]
    version = client.get_model_version_by_alias("veracity", "challenger")
    assert version.run_id == run.info.run_id
    import mlflow

    info = mlflow.models.get_model_info(f"models:/veracity/{version.version}")
    assert info.signature is not None
    assert info.saved_input_example_info is not None


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

    with checkpoint_folder("models:/veracity@champion", tracking_uri=store.uri) as folder:
        checkpoint = load_checkpoint(Task.VERACITY, folder)
        assert checkpoint.max_tokens == 32
        place = Path(folder)
    assert not place.exists()
    with (
        pytest.raises(CheckpointError, match=r"models:/veracity@nobody: sqlite.* does not give it"),
        checkpoint_folder("models:/veracity@nobody", tracking_uri=store.uri),
    ):
        pass
    with pytest.raises(TrackingError, match=r"there is no model 'category' with the alias 'challenger'"):
        promote(Task.CATEGORY, store)


def test_a_summarizer_is_recorded_fetched_and_asked(store: Tracking, tmp_path: Path) -> None:
    fit(Task.SUMMARY, SMALL_SUMMARIZER, tmp_path / "summary", data=articles(2), tracking=store)
    assert promote(Task.SUMMARY, store).promoted
    with checkpoint_folder("models:/summary@champion", tracking_uri=store.uri) as folder:
        files = {file.name for file in Path(folder).iterdir()}
        assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= files
        assert not {"plots", "metrics.json"} & files
        with (tmp_path / "summary" / "model.safetensors").open("rb") as kept:
            assert (Path(folder) / "model.safetensors").read_bytes() == kept.read()
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


def test_the_default_store_makes_its_own_folder(empty_store: Path) -> None:
    assert empty_store.is_file()
    experiment = open_client(Tracking(uri=f"sqlite:///{empty_store}")).get_experiment_by_name("infolens")
    assert experiment.artifact_location == (empty_store.parent / "artifacts").as_uri()


def test_the_default_store_is_the_same_for_workers_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = Tracking().anywhere
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sent.resolved == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


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

            self.client = self.client and mlflow.MlflowClient(gone)
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
    points = client.get_metric_history(run_id, "train_loss")
    assert sorted(point.step for point in points if point.step) == [10, 20, 30, 40, 50, 60, 70, 80, 80]
    assert client.get_run(run_id).info.status == "FINISHED"
