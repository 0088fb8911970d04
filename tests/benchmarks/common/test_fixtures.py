"""Checkpoints of random weights, and the records of the architectures that they are made from."""

from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.common.fixtures import SMALL, make_fixtures
from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.common.shapes import SHAPES, shape_of
from benchmarks.peers.config import PeersConfig
from benchmarks.peers.run import measure
from benchmarks.peers.workload import articles, graph_inputs, workload_of
from infolens.contract import CONTRACTS, AnswerKind, Task

EVERYTHING = "``Éclairs''  in\ttwo  lines\n\nof « naïve » text"
TEXT = (ROOT / "tests" / "articles" / "sports.txt").read_text(encoding="utf-8")[:900]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[Task, Path]:
    return make_fixtures(tmp_path_factory.mktemp("fixtures"), SMALL)


@pytest.mark.parametrize("task", tuple(Task))
def test_a_checkpoint_is_of_its_architecture_and_loads_again(checkpoints: dict[Task, Path], task: Task):
    contract, folder = CONTRACTS[task], checkpoints[task]
    config, shape = AutoConfig.from_pretrained(folder), shape_of(contract.architecture)
    assert config.model_type == contract.architecture
    assert {name: getattr(config, name) for name in shape.sizes["small"]} == dict(shape.sizes["small"])
    kinds = {AnswerKind.TEXT: AutoModelForSeq2SeqLM, AnswerKind.LABELS: AutoModelForSequenceClassification}
    model = kinds[contract.answers].from_pretrained(folder)
    if contract.default_labels:
        assert tuple(model.config.id2label.values()) == contract.default_labels
    assert {name: getattr(model.generation_config, name) for name in shape.generation} == dict(shape.generation)


@pytest.mark.parametrize("task", tuple(Task))
def test_a_tokenizer_frames_its_texts_as_the_record_says_also_when_it_is_loaded_again(
    checkpoints: dict[Task, Path], task: Task
):
    shape = shape_of(CONTRACTS[task].architecture)
    tokenizer = AutoTokenizer.from_pretrained(checkpoints[task])
    ids = tokenizer(TEXT)["input_ids"]
    assert tuple(ids[: len(shape.first)]) == shape.first
    assert tuple(ids[-len(shape.last) :]) == shape.last
    inner = ids[len(shape.first) : -len(shape.last)]
    assert not set(inner) & set(tokenizer.all_special_ids), "its own text has unknown words"
    assert tokenizer.model_max_length == shape.maximum_tokens
    saved = Tokenizer.from_file(str(checkpoints[task] / "tokenizer.json"))
    assert saved.encode(EVERYTHING).ids == tokenizer(EVERYTHING)["input_ids"]


def test_the_labels_are_those_of_the_contract_however_many(tmp_path: Path, sentiment: Task):
    folder = make_fixtures(tmp_path, SMALL, [sentiment])[sentiment]
    assert folder == tmp_path / "sentiment-small"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert list(model.config.id2label.values()) == ["bad", "neutral", "good"]
    assert model.num_labels == 3


def test_a_task_without_labels_or_of_an_unknown_architecture_is_refused(
    tmp_path: Path, sentiment: Task, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(CONTRACTS, sentiment, replace(CONTRACTS[sentiment], default_labels=()))
    with pytest.raises(BenchmarkError, match=r"sentiment has 0; give it default_labels"):
        make_fixtures(tmp_path, SMALL, [sentiment])
    monkeypatch.setitem(CONTRACTS, sentiment, replace(CONTRACTS[sentiment], architecture="deberta-v2"))
    wanted = r"one of bart, distilbert, xlnet, not 'deberta-v2'; add its record .*, or name other tasks with --task"
    with pytest.raises(BenchmarkError, match=wanted):
        make_fixtures(tmp_path, SMALL, [sentiment])
    with pytest.raises(BenchmarkError, match=wanted):
        next(measure(PeersConfig(fixtures=tmp_path / "fixtures")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", tuple(Task))
def test_the_measured_articles_are_framed_as_the_record_says(task: Task):
    work = workload_of(task)
    shape, found = SHAPES[work.architecture], articles(work, 2)
    ids = found["input_ids"]
    assert ids.shape == (2, shape.tokens_in)
    assert all(tuple(row[: len(shape.first)]) == shape.first for row in ids.tolist())
    assert all(tuple(row[-len(shape.last) :]) == shape.last for row in ids.tolist())
    types = found.get("token_type_ids")
    assert (types is None) == (shape.last_type is None)
    if types is not None:
        assert types.sum() == types[:, -1].sum() == 2 * shape.last_type
    settings = set(graph_inputs(work, 2)) - set(found)
    wanted = CONTRACTS[task].model_inputs(token_types=types is not None, quotes=CONTRACTS[task].settings != ())
    assert settings == {tensor.name for tensor in wanted} - set(found)
