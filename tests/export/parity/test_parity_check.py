"""The parity check: it passes graphs of every precision, and refuses graphs and tokenizers that differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tokenizers import Tokenizer

from export.checkpoint.checkpoint import Checkpoint, load_checkpoint
from export.checkpoint.tokenization import padding_of, serving_tokenizer
from export.errors import ParityError
from export.exporter import build
from export.graph.initializers import Initializers
from export.graph.model_file import write_model
from export.graph.precision import Precision, precisions_of
from export.parity.check import check_graph, reference_of
from export.parity.reference import Reference
from export.parity.report import ParityReport
from export.parity.summaries import token_f1
from infolens.contract import CONTRACTS, Task
from tests.export.conftest import RANDOM

pytestmark = pytest.mark.filterwarnings("ignore:Moving the following attributes")


@pytest.fixture(scope="module")
def reference(loaded: dict[Task, Checkpoint]) -> Callable[[Task], Reference]:
    """Asks each checkpoint once for its answers."""

    @cache
    def asked(task: Task) -> Reference:
        checkpoint = loaded[task]
        return reference_of(checkpoint, serving_tokenizer(checkpoint), padding_of(checkpoint))

    return asked


@pytest.mark.parametrize("precision", precisions_of("loop"))
@pytest.mark.parametrize("task", list(Task))
def test_every_precision_is_near_and_has_the_tensors_of_the_contract(
    loaded: dict[Task, Checkpoint],
    reference: Callable[[Task], Reference],
    tmp_path: Path,
    task: Task,
    precision: Precision,
) -> None:
    path, report = tmp_path / "model.onnx", ParityReport()
    write_model(path, partial(build, loaded[task], precision))
    check_graph(report, reference(task), precision, path, tolerances=RANDOM)
    assert report.passed, report.table()

    contract, types = CONTRACTS[task], {"INT32": "tensor(int32)", "UINT8": "tensor(uint8)", "FP32": "tensor(float)"}
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = {tensor.name: tensor.type for tensor in (*session.get_inputs(), *session.get_outputs())}
    token_types = loaded[task].architecture.token_types
    quotes = task is Task.SUMMARY
    wanted = (*contract.model_inputs(token_types=token_types, quotes=quotes), *contract.model_outputs())
    assert found == {tensor.name: types[tensor.dtype] for tensor in wanted}

    sizes: dict[int, int] = {}
    for tensor in onnx.load(path).graph.initializer:
        sizes[tensor.data_type] = sizes.get(tensor.data_type, 0) + int(np.prod(tensor.dims))
    numbers = precision.number_format
    kind = onnx.TensorProto.FLOAT16 if numbers.half else onnx.TensorProto.FLOAT
    assert max(sizes, key=lambda stored: sizes[stored]) == (onnx.TensorProto.INT8 if numbers.integers else kind)


@pytest.mark.parametrize("task", list(Task))
def test_a_graph_that_answers_otherwise_fails(
    loaded: dict[Task, Checkpoint], reference: Callable[[Task], Reference], tmp_path: Path, task: Task
) -> None:
    bias = {Task.SUMMARY: "logits.bias", Task.CATEGORY: "classifier.bias", Task.VERACITY: "logits_proj.bias"}[task]

    class Shifted(Initializers):
        def add(self, name: str, value: np.ndarray) -> str:
            shift = np.linspace(-9, 9, value.shape[-1], dtype=np.float32) if name == bias else 0
            return super().add(name, value + shift if name == bias else value)

    path, report = tmp_path / "model.onnx", ParityReport()
    onnx.save(build(loaded[task], Precision.FP32, Shifted()), path)
    check_graph(report, reference(task), Precision.FP32, path, tolerances=RANDOM)
    assert not report.passed
    assert "FAILED" in report.table()


def test_a_tokenizer_without_special_tokens_is_refused(
    checkpoints: dict[Task, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(Task.CATEGORY, str(checkpoints[Task.CATEGORY]))
    document = json.loads(checkpoint.tokenizer.backend_tokenizer.to_str())
    bare = Tokenizer.from_str(json.dumps({**document, "post_processor": None}))
    monkeypatch.setattr(checkpoint.tokenizer, "_tokenizer", bare)
    with pytest.raises(ParityError, match="special tokens"):
        reference_of(checkpoint, serving_tokenizer(checkpoint), padding_of(checkpoint))


def test_token_f1() -> None:
    assert token_f1([1, 2, 3], [1, 2, 3]) == 1
    assert token_f1([1, 1, 2], [1, 3, 4]) == pytest.approx(1 / 3)
    assert token_f1([], []) == 1
