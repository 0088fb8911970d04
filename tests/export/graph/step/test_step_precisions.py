"""A step's graphs in other number formats, with windows, and against the graph that is one ``Loop``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from engine.artefact import BEGIN, Artefact, read
from engine.article import Article, beginning
from engine.settings import Architecture, Bucket, Rules, Settings
from engine.tensors import NEXT, QUOTED, STATE
from export.architectures.bart import write
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.graph.step.files import write_engine
from export.parity.summaries import with_settings
from infolens.contract import ATTENTION_MASK, INPUT_IDS
from operators.library import ensure_operators
from tests.export.architectures.test_bart_windows import WINDOW, batch, cut
from tests.export.graph.rows import END, PAD, session_of, tiny_bart, trained

from .runner import Runner

RULES = Rules(start_token=END, end_tokens=(END,), pad_token=PAD, first_token=0, last_token=END)
VALUES = {"num_beams": 2, "min_length": 4, "max_length": 20, "length_penalty": 1.0}
SETTINGS = Settings(num_beams=2, min_length=4, max_length=20, no_repeat_ngram_size=3)
LENGTHS = (60, 16, 31, 9)


@pytest.fixture(scope="module")
def model() -> Any:
    made = tiny_bart()
    made.generation_config.update(
        no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=END, early_stopping=True
    )
    return made


def artefact_of(model: Any, folder: Path, precision: str, window: int = 0) -> Artefact:
    folder.mkdir()
    architecture = Architecture.of(model.config.to_dict(), window=window)
    write_engine(folder, CheckpointWeights(model.state_dict()), architecture, RULES, precision)
    return read(folder)


def articles_of(inputs: dict[str, Any]) -> list[Article]:
    """The rows of a batch, as long as their last token."""
    rows = zip(inputs[INPUT_IDS.name], inputs[ATTENTION_MASK.name], strict=True)
    lengths = [(ids, int(np.flatnonzero(mask)[-1]) + 1) for ids, mask in rows]
    return [Article(ids=ids[:length], settings=SETTINGS) for ids, length in lengths]


def bucket_of(inputs: dict[str, Any]) -> Bucket:
    rows, length = inputs[INPUT_IDS.name].shape
    return Bucket(slots=rows, beams=2, source_length=length, target_length=20)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_tokens_are_those_of_the_loop(model: Any, tmp_path: Path, precision: str) -> None:
    inputs = batch(*LENGTHS)
    loop = session_of(write(trained(model), Precision(precision), Initializers()))
    expected = loop.run(None, with_settings(inputs, VALUES))[0]
    runner = Runner(artefact_of(model, tmp_path / "engine", precision), bucket_of(inputs))
    np.testing.assert_array_equal(runner.summaries(articles_of(inputs)), expected)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_decoder_looks_at_every_window(model: Any, tmp_path: Path, precision: str) -> None:
    """A row has as many windows as the longest one; those that hold nothing harm none."""
    inputs = cut(batch(64, 23, 16))
    loop = session_of(write(trained(model, window=WINDOW), Precision(precision), Initializers()))
    expected = loop.run(None, with_settings(inputs, VALUES))[0]
    artefact = artefact_of(model, tmp_path / "engine", precision, window=WINDOW)
    runner = Runner(artefact, bucket_of(inputs), multiple=WINDOW)
    np.testing.assert_array_equal(runner.summaries(articles_of(inputs)), expected)


def test_half_precision_is_near(tmp_path: Path) -> None:
    """Scores of the beams after some steps; tokens differ where words are nearly as good as each other."""
    model = tiny_bart(init_std=0.2)  # of weights as large as the other tests have them, rounding is amplified
    inputs = batch(*LENGTHS)
    runners = [Runner(artefact_of(model, tmp_path / name, name), bucket_of(inputs)) for name in ("fp32", "fp16")]
    for runner in runners:
        for slot, article in enumerate(articles_of(inputs)):
            runner.join(slot, article)
        for _ in range(3):
            runner.step()
    exact, half = (runner.values["running"] for runner in runners)
    np.testing.assert_allclose(half, exact, atol=0.1)
    assert runners[1].values["key_0"].dtype == np.float16


def test_a_search_begins_on_the_device(model: Any, tmp_path: Path) -> None:
    artefact = artefact_of(model, tmp_path / "engine", "fp32")
    bucket = Bucket(slots=3, beams=2, source_length=8, target_length=6)
    session = ort.InferenceSession(artefact.path(BEGIN), providers=["CPUExecutionProvider"])
    sizes = {**bucket.sizes, "2": 2}
    state = {
        tensor.name: np.full([sizes[dim] for dim in tensor.dims], tensor.dtype != "BOOL" and 7, tensor.numpy)
        for tensor in (*STATE, QUOTED)
    }
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"fresh": np.array([True, False, True]), **state}), strict=True))
    for name, row in beginning(bucket, artefact.rules).items():
        after = found[f"{name}{NEXT}"]
        np.testing.assert_array_equal(after[0], row, err_msg=name)
        np.testing.assert_array_equal(after[2], row, err_msg=name)
        np.testing.assert_array_equal(after[1], state[name][1], err_msg=name)


def test_native_kernels_write_the_same_tokens(model: Any, tmp_path: Path) -> None:
    native = ensure_operators().path
    if native is None:
        pytest.skip("no native operators on this machine")
    inputs = batch(*LENGTHS)
    artefact = artefact_of(model, tmp_path / "engine", "int8")
    loop = session_of(write(trained(model), Precision.INT8, Initializers()), native)
    expected = loop.run(None, with_settings(inputs, VALUES))[0]
    runner = Runner(artefact, bucket_of(inputs), native=native)
    np.testing.assert_array_equal(runner.summaries(articles_of(inputs)), expected)
