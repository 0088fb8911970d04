"""Which models serve the tasks: what the ensembles of a repository and of a real server say."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.articles import Articles
from benchmarks.common.metrics import Stage
from benchmarks.common.open_loop import Arrivals, Run
from benchmarks.common.served import asked_together, served_models, serving_now
from benchmarks.common.server import ROOT, BenchmarkError, started_server
from benchmarks.load.open_loop import pictures
from benchmarks.load.open_loop.pictures import save
from benchmarks.load.open_loop.steps import Step, Target, measure_step
from benchmarks.load.trace.otlp import SpanReceiver
from benchmarks.load.trace.timeline import read_timeline
from export.cli import main as export
from infolens import ServerUnavailableError
from infolens.contract import CONTRACTS, Task
from infolens.machine import this_machine
from tests import families
from tests.clients.loopback import free_port

REPOSITORY = ROOT / "model_repository"
STARTERS = {task: contract.served() for task, contract in CONTRACTS.items()}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The ensembles of the committed repository."""
    for contract in CONTRACTS.values():
        shutil.copytree(REPOSITORY / contract.ensemble, tmp_path / contract.ensemble)
    return tmp_path


def rename(config: Path, old: str, new: str, to: Path | None = None) -> None:
    """Write a configuration in which another model serves."""
    to = to or config
    to.parent.mkdir(exist_ok=True)
    to.write_text(config.read_text().replace(f'"{old}', f'"{new}'))


def test_the_committed_repository_serves_the_starters():
    assert served_models(REPOSITORY) == STARTERS


def test_the_ensemble_says_which_model_serves_and_not_the_contract(repository: Path):
    rename(repository / "classify" / "config.pbtxt", "distilbert", "category_roberta")
    found = served_models(repository)
    assert found[Task.CATEGORY].chain == ("category_roberta_tokenizer", "category_roberta", "category_roberta_labels")
    assert {**found, Task.CATEGORY: STARTERS[Task.CATEGORY]} == STARTERS


def test_a_named_configuration_counts_where_there_is_one(repository: Path):
    config = repository / "verify" / "config.pbtxt"
    rename(config, "xlnet", "veracity_bert", config.parent / "configs" / "large.pbtxt")
    assert served_models(repository) == STARTERS
    found = served_models(repository, "large")
    assert found[Task.VERACITY].name == "veracity_bert"
    assert found[Task.SUMMARY].name == "bart"


def test_a_further_task_is_there_where_its_ensemble_is(repository: Path, sentiment: Task):
    assert sentiment not in served_models(repository)
    (repository / "feel").mkdir()
    rename(repository / "classify" / "config.pbtxt", "distilbert", "sentiment", repository / "feel" / "config.pbtxt")
    found = served_models(repository)
    assert found[sentiment].chain == ("sentiment_tokenizer", "sentiment", "sentiment_labels")
    assert asked_together(found) == STARTERS


def test_an_ensemble_of_other_steps_is_refused(repository: Path):
    rename(repository / "classify" / "config.pbtxt", "distilbert_labels", "distilbert_scores")
    with pytest.raises(BenchmarkError, match=r"classify are .* such as .*distilbert_labels, not .*distilbert_scores; "):
        served_models(repository)
    (repository / "classify" / "config.pbtxt").write_text('name: "classify"\n')
    with pytest.raises(BenchmarkError, match=r"distilbert_labels, not none; .*make configs"):
        served_models(repository)


def test_what_cannot_be_read_is_told(repository: Path, tmp_path: Path):
    (repository / "verify" / "config.pbtxt").write_text("name: no text format")
    with pytest.raises(BenchmarkError, match=r"cannot read how .* is run: .*make configs"):
        served_models(repository)
    with pytest.raises(BenchmarkError, match=r"\(summarize, classify, verify\), but .*nowhere has none"):
        served_models(tmp_path / "nowhere")


def test_the_picture_of_stages_has_the_models_that_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn = []

    def look(figure: Any, path: Path) -> None:
        drawn.append([label.get_text() for label in figure.axes[0].get_yticklabels()])
        save(figure, path)

    monkeypatch.setattr(pictures, "save", look)
    work = {"requests": 9, "failures": 0, "batch": 1.0, "wait_ms": 1.0, "copy_ms": 0.0, "compute_ms": 5.0}
    served = {**STARTERS, Task.CATEGORY: CONTRACTS[Task.CATEGORY].served("category_roberta")}
    models = [name for model in served.values() for name in model.chain]
    step = Step(
        run=Run(arrivals=Arrivals(rate_per_s=20.0), sent=(), reasons={}, behind_p99_ms=0.1),
        stages=tuple(Stage(model=model, total_ms=6.0, **work) for model in models),
        processes=(),
        memory=(),
        served=served,
    )
    pictures.draw_stages(step, this_machine(), tmp_path / "stages.png")
    names = ["summary\n(bart)", "category\n(category_roberta)", "veracity\n(xlnet)"]
    assert drawn == [["what a\ncaller waits", *names]]
    assert (tmp_path / "stages.png").stat().st_size > 0


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(ServerUnavailableError):
        serving_now(f"grpc://127.0.0.1:{free_port()}")


@pytest.mark.server
def test_a_real_server_says_what_its_repository_says(triton, sentiment: Task):
    found = serving_now(triton.grpc_url)
    assert found == served_models(REPOSITORY)
    assert sentiment not in found


@pytest.mark.server
def test_a_model_of_another_family_is_measured_by_its_own_name(tmp_path: Path):
    repository, checkpoint = tmp_path / "repository", tmp_path / "checkpoint"
    shutil.copytree(REPOSITORY, repository)
    model, tokenizer = families.roberta(("near", "far", "away", "home"))
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    assert export(["category", "--checkpoint", str(checkpoint), "--repository", str(repository)]) == 0
    with (
        SpanReceiver() as receiver,
        started_server(["--repository", str(repository), "--trace-url", receiver.url]) as server,
    ):
        step = measure_step(
            Target.of(server), Articles(words=60), Arrivals(rate_per_s=5, seconds=1, warmup_s=0.2, timeout_s=30)
        )
        (spans, *_) = receiver.wait_for(1)
    assert step.served == served_models(repository)
    assert {task: served.name for task, served in step.served.items()}[Task.CATEGORY] == "category_roberta"
    seen = {stage.model for stage in step.stages}
    assert seen >= {name for served in step.served.values() for name in served.chain}
    assert "distilbert" not in seen
    assert "category_roberta" in read_timeline(spans, step.served).visits
    assert {"category_roberta", "bart", "xlnet"} <= {use.name for use in step.processes}
