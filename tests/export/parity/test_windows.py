"""Classifiers that judge a long article by windows: graphs of every family against transformers, window by window."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.tokenization import Batch, padding_of, serving_tokenizer
from export.cli import build_parser
from export.errors import CheckpointError
from export.exporter import build
from export.graph.model_file import write_model
from export.graph.precision import Precision, precisions_of
from export.parity import windows
from export.parity.articles import ARTICLES
from export.parity.check import check_graph, reference_of
from export.parity.report import ParityReport
from infolens.contract import ATTENTION_MASK, INPUT_IDS, Task
from operators.library import ensure_operators
from tests.export.conftest import RANDOM
from tests.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")

WINDOW, MOST = 16, 64


@pytest.fixture(scope="module")
def families(checkpoints: dict[Task, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    """A checkpoint of each family that reads windows."""
    folders = {"distilbert": checkpoints[Task.CATEGORY]}
    for name in ("bert", "roberta"):
        folders[name] = tmp_path_factory.mktemp(name)
        for part in FAMILIES[name](("Business", "Sports", "Travel"), ARTICLES):
            part.save_pretrained(folders[name])
    return {
        name: load_checkpoint(Task.CATEGORY, str(folder), window=WINDOW, max_tokens=MOST)
        for name, folder in folders.items()
    }


@pytest.mark.parametrize("precision", precisions_of("loop"))
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_a_graph_judges_windows_as_transformers_does(
    families: dict[str, Checkpoint], tmp_path: Path, family: str, precision: Precision
) -> None:
    checkpoint, path, report = families[family], tmp_path / "model.onnx", ParityReport()
    write_model(path, partial(build, checkpoint, precision))
    reference = reference_of(checkpoint, serving_tokenizer(checkpoint), padding_of(checkpoint))
    operators = ensure_operators().path if precision.number_format.integers else None
    for library in {None, operators}:
        check_graph(report, reference, precision, path, tolerances=RANDOM, operators=library)
    assert report.passed, report.table()


def _rows(checkpoint: Checkpoint, *lengths: int) -> Batch:
    """Random articles of so many tokens, special ones included, in rows of the longest."""
    rng, longest = np.random.default_rng(0), max(lengths)
    ids, mask = np.zeros((len(lengths), longest), np.int32), np.zeros((len(lengths), longest), np.int32)
    for row, length in enumerate(lengths):
        ids[row, :length] = rng.integers(5, checkpoint.config.vocab_size, length)
        mask[row, :length] = 1
    return {INPUT_IDS.name: ids, ATTENTION_MASK.name: mask}


def test_windows_without_a_token_count_for_nothing(families: dict[str, Checkpoint], tmp_path: Path) -> None:
    checkpoint, path = families["distilbert"], tmp_path / "model.onnx"
    write_model(path, partial(build, checkpoint, Precision.FP32))
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    batch = windows.lay_out(_rows(checkpoint, 60, 9, 20), checkpoint)
    assert batch[INPUT_IDS.name].shape == (3, MOST)
    expected = windows.probabilities(checkpoint, batch)
    np.testing.assert_allclose(session.run(None, batch)[0], expected, atol=1e-5)
    short = {name: array[1:2, :WINDOW] for name, array in batch.items()}
    np.testing.assert_allclose(session.run(None, short)[0], expected[1:2], atol=1e-5)
    nothing = {name: np.zeros_like(array) for name, array in batch.items()}
    assert np.isfinite(session.run(None, nothing)[0]).all()


def test_a_window_weighs_its_tokens(families: dict[str, Checkpoint]) -> None:
    checkpoint = families["distilbert"]
    batch = windows.lay_out(_rows(checkpoint, 25), checkpoint)
    first, second = ({name: array[:, part] for name, array in batch.items()} for part in (slice(16), slice(16, 32)))
    each = [np.log(windows.probabilities(checkpoint, one)) for one in (first, second)]
    tokens = [one[ATTENTION_MASK.name].sum() for one in (first, second)]
    assert tokens == [16, 11]  # 14 and 9 of the text, each with two special ones
    mean = np.exp((16 * each[0] + 11 * each[1]) / 27)
    np.testing.assert_allclose(windows.probabilities(checkpoint, batch), mean / mean.sum(), rtol=1e-5)


def test_a_checkpoint_says_which_windows_it_was_trained_for(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoints[Task.CATEGORY], tmp_path / "checkpoint")
    for name, field, value in (("config", "infolens_window", 16), ("tokenizer_config", "model_max_length", 48)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    loaded = load_checkpoint(Task.CATEGORY, str(folder))
    assert (loaded.window, loaded.max_tokens) == (16, 48)
    other = load_checkpoint(Task.CATEGORY, str(folder), window=32, max_tokens=64)
    assert (other.window, other.max_tokens) == (32, 64)


@pytest.mark.parametrize(
    ("task", "window", "most", "words"),
    [
        (Task.VERACITY, 16, 64, "a xlnet reads no windows"),
        (Task.CATEGORY, 2, 64, "--window must be between 3"),
        (Task.CATEGORY, 1000, 1000, "--window must be between 3"),
        (Task.CATEGORY, 16, 40, "a multiple of it"),
        (Task.CATEGORY, 16, 8192, "a multiple of it up to 4096"),
    ],
)
def test_windows_that_cannot_be_are_refused(
    checkpoints: dict[Task, Path], task: Task, window: int, most: int, words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(task, str(checkpoints[task]), window=window, max_tokens=most)


def test_the_command_line_takes_a_window() -> None:
    arguments = ["category", "--checkpoint", "x", "--window", "64", "--max-tokens", "256"]
    assert build_parser().parse_args(arguments).window == 64
    assert build_parser().parse_args(["category", "--checkpoint", "x"]).window == 0
