"""Which models serve the tasks: what the ensembles of a repository and of a real server say."""

import shutil
from pathlib import Path

import pytest

from benchmarks.common.served import asked_together, served_models, serving_now
from benchmarks.common.server import ROOT, BenchmarkError
from infolens import ServerUnavailableError
from infolens.contract import CONTRACTS, Task
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


def test_a_server_that_is_not_there_is_told():
    with pytest.raises(ServerUnavailableError):
        serving_now(f"grpc://127.0.0.1:{free_port()}")


@pytest.mark.server
def test_a_real_server_says_what_its_repository_says(triton, sentiment: Task):
    found = serving_now(triton.grpc_url)
    assert found == served_models(REPOSITORY)
    assert sentiment not in found
