"""The conversation with a real worker process, which holds a committed model."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.common.server import ROOT
from benchmarks.peers.environment import worker_environment
from benchmarks.peers.process import Worker, WorkerError, cpu_s, peak_bytes, settle
from benchmarks.peers.workload import Generation, Workload, articles, graph_inputs
from infolens.contract import CONTRACTS, Task

CATEGORY = Workload(task=Task.CATEGORY, architecture="distilbert", tokens_in=64, batches=(1, 3))
SUMMARY = Workload(
    task=Task.SUMMARY,
    architecture="bart",
    tokens_in=64,
    batches=(1,),
    generation=Generation(tokens_out=12, beams=2),
)


def graph(model: str) -> Path:
    return max((ROOT / "model_repository" / model).glob("*/model.onnx"))


def start(tmp_path: Path, model: Path, work: Workload) -> Worker:
    answers = CONTRACTS[work.task].answers.value
    job = {"engine": "infolens", "architecture": work.architecture, "answers": answers, "model": str(model)}
    job["threads"] = 2
    return Worker(Path(sys.executable), job, log=tmp_path / "log", environment=worker_environment(2), timeout_s=60)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the tests that leave it as it was."""
    with start(tmp_path_factory.mktemp("worker"), graph("distilbert"), CATEGORY) as found:
        yield found


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Worker]:
    """A worker for a test that ends it."""
    with start(tmp_path, graph("distilbert"), CATEGORY) as found:
        yield found


def test_a_worker_answers_as_the_model_does(worker: Worker):
    session = onnxruntime.InferenceSession(graph("distilbert"), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        inputs = graph_inputs(CATEGORY, batch)
        seconds, rows = worker.run(inputs, None, minimum_s=60.0, maximum_runs=4)
        assert len(seconds) == 4
        assert min(seconds) > 0
        np.testing.assert_allclose(rows, session.run(None, inputs)[0], atol=1e-5)
    assert worker.load_s > 0
    assert worker.versions["onnxruntime"] == onnxruntime.__version__


def test_a_summary_has_the_length_that_was_asked_for(tmp_path: Path):
    with start(tmp_path, graph("bart"), SUMMARY) as worker:
        rows = worker.run(graph_inputs(SUMMARY, 2), asdict(SUMMARY.generation))[1]
    assert [len(row) for row in rows] == [12, 12]


def test_a_turn_that_fails_is_told_and_the_next_one_works(worker: Worker):
    with pytest.raises(WorkerError, match="attention_mask"):
        worker.run({"input_ids": articles(CATEGORY, 1)["input_ids"]}, None)
    assert len(worker.run(graph_inputs(CATEGORY, 1), None)[1]) == 1


def test_a_model_that_cannot_be_loaded_is_told_in_the_engines_words(tmp_path: Path):
    with pytest.raises(WorkerError, match=r"nowhere\.onnx"):
        start(tmp_path, tmp_path / "nowhere.onnx", CATEGORY)


def test_a_process_that_is_killed_is_told(mortal: Worker):
    os.kill(mortal.watched[0], signal.SIGKILL)
    with pytest.raises(WorkerError, match="by signal 9"):
        mortal.run(graph_inputs(CATEGORY, 1), None)


def test_a_worker_that_waits_is_idle_and_its_memory_is_known(worker: Worker):
    worker.run(graph_inputs(CATEGORY, 3), None)
    assert settle(worker.watched, timeout_s=30)
    assert cpu_s(worker.watched) > 0
    assert peak_bytes(worker.watched) > 10_000_000


def test_the_end_of_the_block_ends_the_process(mortal: Worker):
    mortal.close()
    assert peak_bytes(mortal.watched) == 0


def test_an_article_is_the_same_in_every_batch():
    one, four = articles(CATEGORY, 1), articles(CATEGORY, 4)
    for name, array in one.items():
        np.testing.assert_array_equal(array[0], four[name][0])
    assert len({tuple(row) for row in four["input_ids"].tolist()}) == 4
