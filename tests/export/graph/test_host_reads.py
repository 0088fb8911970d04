"""No graph that is captured reads the host's memory when it is replayed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import transformers
from onnx import TensorProto, helper, numpy_helper

from engine.artefact import BEGIN, PLAIN, STEP
from engine.settings import Architecture, Bucket, Rules
from export.architectures import Trained
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.precision import Precision
from export.graph.standard.graph import OPSET
from export.graph.step.files import write_engine
from infolens.targets import Target
from tests.engine.ort.small import RULES
from tests.export.architectures.test_deberta_on_gpus import config_of

from .host_reads import MOST_PARTS, reads_the_host
from .rows import tiny_bart
from .test_gpu_graph import CASES, NUMBERS, written
from .test_standard_graph import trained_classifier

LENGTHS = (16, 64)
MANY = replace(RULES, end_tokens=(2, 5, 6), never=(7,), never_first=(8, 9), repetition_penalty=1.2, longest_ngram=3)


def names(model: onnx.ModelProto, **dims: int) -> list[str]:
    return [f"{node.name} ({node.op_type})" for node in reads_the_host(model, dims)]


def deberta() -> Trained:
    torch.manual_seed(0)
    model = transformers.DebertaV2ForSequenceClassification(config_of()).eval()
    return Trained(config=model.config, generation=None, weights=CheckpointWeights(model.state_dict()), max_tokens=64)


@pytest.mark.parametrize("precision", NUMBERS[:2])  # A CPU infers no shapes of bf16, whose graph has the same nodes.
@pytest.mark.parametrize(("model_type", "window"), [*CASES, ("deberta-v2", 0)])
def test_classifiers_do_not(model_type: str, window: int, precision: Precision) -> None:
    trained = deberta() if model_type == "deberta-v2" else trained_classifier(model_type, window)
    model = written(model_type, trained, Target.CUDA, precision)
    for length in LENGTHS:
        assert names(model, batch=1, length=length) == names(model, batch=4, length=length) == []


@pytest.mark.parametrize("rules", [RULES, MANY], ids=["few", "many"])
@pytest.mark.parametrize("name", [STEP, PLAIN, BEGIN])
def test_steps_do_not(name: str, rules: Rules, tmp_path: Path) -> None:
    model = tiny_bart()
    architecture = Architecture.of(model.config.to_dict(), window=0)
    write_engine(tmp_path, CheckpointWeights(model.state_dict()), architecture, rules, "fp32")
    bucket = Bucket(slots=3, beams=4, source_length=24, target_length=20)
    assert names(onnx.load(tmp_path / name), **bucket.sizes) == []


def graph_of(op: str, *inputs: tuple[int | str, ...], outputs: int = 1, **attributes: Any) -> onnx.ModelProto:
    """One node, of inputs with these shapes."""
    parts = [helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(inputs)]
    node = helper.make_node(
        op, [part.name for part in parts], [f"y{i}" for i in range(outputs)], name="node", **attributes
    )
    results = [helper.make_empty_tensor_value_info(name) for name in node.output]
    made = helper.make_graph([node], "made", parts, results)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        (graph_of("Concat", (3, 4), (3, 4), axis=1), False),
        (graph_of("Concat", (3, 4), (3, 5), axis=-1), True),
        (graph_of("Concat", *[(3, 4)] * MOST_PARTS, axis=1), False),
        (graph_of("Concat", *[(3, 4)] * (MOST_PARTS + 1), axis=1), True),
        (graph_of("MatMul", (2, 3, 4, 5), (2, 3, 5, 6)), False),
        (graph_of("MatMul", (2, 3, 4, 5), (5, 6)), False),
        (graph_of("MatMul", (2, 3, 4, 5), (3, 5, 6)), True),
        (graph_of("MatMul", (4, 5), (3, 5, 6)), True),
        (graph_of("MatMul", (3, 4, 5), (5,)), True),
    ],
)
def test_operators_do_by_their_shapes(model: onnx.ModelProto, reads: bool) -> None:
    assert names(model) == ([f"node ({model.graph.node[0].op_type})"] if reads else [])


@pytest.mark.parametrize(
    ("sizes", "axis", "reads"),
    [((4, 4), 1, False), ((4, 5), 1, True), ((4, 3, 2), 1, False), ((4, 3, 2), 0, True), ((4, 3, 1, 1), 1, True)],
)
def test_a_split_does_by_its_sizes(sizes: tuple[int, ...], axis: int, reads: bool) -> None:
    shape = [3, 3]
    shape[axis] = sum(sizes)
    model = graph_of("Split", tuple(shape), outputs=len(sizes), axis=axis)
    model.graph.node[0].input.append("sizes")
    model.graph.initializer.append(numpy_helper.from_array(torch.tensor(sizes).numpy(), "sizes"))
    assert names(model) == (["node (Split)"] if reads else [])


def test_sizes_that_are_not_told_are_refused() -> None:
    with pytest.raises(ValueError, match="the shape of 'x0' does not follow from length: give all dimensions"):
        names(graph_of("Concat", ("batch", 4), ("batch", 4), axis=1), length=3)
