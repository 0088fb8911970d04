"""Exports of tiny classifiers for GPUs from end to end: their graphs are held against the checkpoints' answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from export.checkpoint.checkpoint import load_checkpoint
from export.cli import main
from export.errors import CheckpointError
from export.exporter import build, export
from export.graph.graph import DOMAIN, MICROSOFT
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from export.options import Exporter, ExportOptions
from export.parity.rounded import rounded
from infolens.contract import Task
from infolens.targets import Target
from tests.export.conftest import RANDOM

KINDS = {Precision.FP16: onnx.TensorProto.FLOAT16, Precision.BF16: onnx.TensorProto.BFLOAT16}


def options(checkpoints: dict[Task, Path], folder: Path, task: Task, target: Target, **more: Any) -> ExportOptions:
    return ExportOptions(
        task=task, checkpoint=str(checkpoints[task]), repository=folder, target=target, tolerances=RANDOM, **more
    )


@pytest.mark.parametrize(
    ("task", "target", "precision"),
    [
        (Task.CATEGORY, Target.CUDA, Precision.FP16),
        (Task.VERACITY, Target.CUDA, Precision.BF16),
        (Task.VERACITY, Target.TENSORRT, Precision.FP16),
        (Task.CATEGORY, Target.TENSORRT, Precision.BF16),
    ],
)
def test_a_classifier_for_a_gpu_has_parity_and_is_published(
    checkpoints: dict[Task, Path], tmp_path: Path, task: Task, target: Target, precision: Precision
) -> None:
    result = export(options(checkpoints, tmp_path, task, target, precision=precision))
    figures = result.parity.figures()
    assert figures["fp32_largest_difference"] <= 1e-4
    assert 0 < figures[f"{precision}_largest_difference"] <= precision.number_format.probability
    version = tmp_path / result.name / str(result.version)
    assert json.loads((version / "artefact.json").read_text())["target"] == target
    graph = onnx.load(version / "model.onnx").graph
    domains = {node.domain for node in graph.node}
    assert domains == ({"", MICROSOFT} if target is Target.CUDA else {""})
    assert DOMAIN not in domains
    embedding = next(one for one in graph.initializer if one.name == "embedding.weight")
    assert embedding.data_type == KINDS[precision]
    assert main(["configs", "--check", "--repository", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("target", "more", "message"),
    [
        (Target.CPU, {"precision": Precision.BF16}, "models run there in int8, fp32, fp16, not in bf16"),
        (Target.CUDA, {"precision": Precision.INT8}, "models run there in fp16, bf16, fp32, not in int8"),
    ],
)
def test_what_a_target_cannot_run_is_refused(
    checkpoints: dict[Task, Path], tmp_path: Path, target: Target, more: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        options(checkpoints, tmp_path, Task.CATEGORY, target, **more)


def test_a_graph_of_optimum_is_for_cpus(checkpoints: dict[Task, Path], tmp_path: Path) -> None:
    asked = options(
        checkpoints, tmp_path, Task.CATEGORY, Target.CUDA, precision=Precision.FP16, exporter=Exporter.OPTIMUM
    )
    with pytest.raises(CheckpointError, match="a graph of optimum is for CPUs, not for the target cuda"):
        export(asked)


def test_a_graph_of_bf16_is_rounded_where_it_is_stored(checkpoints: dict[Task, Path]) -> None:
    checkpoint = load_checkpoint(Task.VERACITY, str(checkpoints[Task.VERACITY]))
    model = build(checkpoint, Precision.BF16, Initializers(), Target.CUDA)
    halves = [one.name for one in model.graph.initializer if one.data_type == onnx.TensorProto.BFLOAT16]
    made = rounded(model)
    assert not any(one.data_type == onnx.TensorProto.BFLOAT16 for one in made.graph.initializer)
    assert {one.data_type for one in made.graph.initializer if one.name in halves} == {onnx.TensorProto.FLOAT}
    product = next(i for i, node in enumerate(made.graph.node) if node.op_type == "MultiHeadAttention")
    down, up = made.graph.node[product + 1 : product + 3]
    assert [one.attribute[0].i for one in (down, up)] == [onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT]
    assert down.input[0] == made.graph.node[product].output[0]
