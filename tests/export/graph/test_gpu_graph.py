"""Classifiers as graphs for GPUs, beside their graphs for CPUs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest
import torch

from export.architectures import Trained, architecture_of
from export.architectures.writing import write_graph
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.gpu.graph import GpuGraph
from export.graph.graph import DOMAIN
from export.graph.initializers import Initializers
from export.graph.precision import FORMATS, Precision
from export.parity.rounded import running_rounded
from infolens.contract import AnswerKind
from infolens.targets import Target

from .cuda_kernels import without_cuda_kernel
from .test_standard_graph import FAMILIES, WINDOW, batch_of, probabilities, trained_classifier

NUMBERS: Final = (Precision.FP32, Precision.FP16, Precision.BF16)
CASES: Final = [*((name, 0) for name in FAMILIES), ("distilbert", WINDOW), ("roberta", WINDOW)]
LIMITS: Final = {Precision.FP32: 1e-5} | {one: FORMATS[one].probability for one in (Precision.FP16, Precision.BF16)}


def written(model_type: str, trained: Trained, target: Target, precision: Precision) -> onnx.ModelProto:
    record = architecture_of(model_type, AnswerKind.LABELS)
    return write_graph(record, trained, target, precision, Initializers())


def answers(model: onnx.ModelProto, batch: dict[str, Any], folder: Path) -> Any:
    """On a CPU: a graph of bf16 is run in fp32, and rounded."""
    if all(one.data_type != onnx.TensorProto.BFLOAT16 for one in model.graph.initializer):
        return probabilities(model, batch)
    path = folder / "model.onnx"
    onnx.save(model, path)
    with running_rounded(path, None) as run:
        return run({one.name: batch[one.name] for one in model.graph.input})


@pytest.mark.parametrize("precision", NUMBERS)
@pytest.mark.parametrize(("model_type", "window"), CASES)
def test_the_answers_are_those_of_the_graph_for_cpus(
    model_type: str, window: int, precision: Precision, tmp_path: Path
) -> None:
    trained, batch = trained_classifier(model_type, window), batch_of(model_type)
    expected = probabilities(written(model_type, trained, Target.CPU, Precision.FP32), batch)
    model = written(model_type, trained, Target.CUDA, precision)
    onnx.checker.check_model(model)
    found = answers(model, batch, tmp_path)
    np.testing.assert_allclose(found, expected, atol=LIMITS[precision], rtol=0)
    assert precision is Precision.FP32 or not np.array_equal(found, expected), "it is computed in 16 bits"


@pytest.mark.parametrize("precision", NUMBERS)
@pytest.mark.parametrize(("model_type", "window"), CASES)
def test_every_node_has_a_kernel_for_gpus(model_type: str, window: int, precision: Precision) -> None:
    model = written(model_type, trained_classifier(model_type, window), Target.CUDA, precision)
    assert [f"{node.name} ({node.op_type})" for node in without_cuda_kernel(model)] == []


@pytest.mark.parametrize("model_type", ["bert", "xlnet"])
def test_padding_does_not_count(model_type: str) -> None:
    trained, batch = trained_classifier(model_type), batch_of(model_type)
    model = written(model_type, trained, Target.CUDA, Precision.FP32)
    other = batch | {"input_ids": np.where(batch["attention_mask"], batch["input_ids"], 7).astype(np.int32)}
    np.testing.assert_allclose(probabilities(model, other), probabilities(model, batch), atol=1e-6)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_nothing_is_cast_between_embedding_and_head(model_type: str, precision: Precision) -> None:
    model = written(model_type, trained_classifier(model_type), Target.CUDA, precision)
    operators = Counter(node.op_type for node in model.graph.node)
    assert not operators["Clip"]
    # The mask, types and position keys, which are small, come in; what the head reads goes out.
    layers = 2 if model_type == "xlnet" else 0
    assert operators["Cast"] <= 3 + layers
    assert all(node.domain != DOMAIN for node in model.graph.node)


def test_sums_of_residuals_may_be_larger_than_fp16() -> None:
    """Hidden states of some checkpoints are: they are stored as a share of themselves."""
    trained = trained_classifier("bert")
    weights = {name: torch.tensor(array) for name, array in trained.weights.items()}
    torch.manual_seed(1)
    weights["bert.encoder.layer.0.output.dense.bias"].normal_(std=8e4)
    large = replace(trained, weights=CheckpointWeights(weights))
    batch = batch_of("bert")
    expected = probabilities(written("bert", large, Target.CPU, Precision.FP32), batch)
    found = probabilities(written("bert", large, Target.CUDA, Precision.FP16), batch)
    np.testing.assert_allclose(found, expected, atol=LIMITS[Precision.FP16], rtol=0)


def test_a_graph_for_gpus_has_no_integers() -> None:
    with pytest.raises(ValueError, match="a graph for GPUs is of fp32, fp16, bf16, not int8"):
        GpuGraph(Initializers(), prefix="", precision=Precision.INT8)
