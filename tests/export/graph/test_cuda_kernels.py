"""Every node of the graphs for GPUs has a kernel of ONNX Runtime's CUDA provider.

A single node that has none is computed on the CPU at every run, and a graph with it cannot be captured.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto, helper

from engine.artefact import BEGIN, ENCODER, PLAIN, STEP
from engine.settings import Architecture
from export.graph.checkpoint_weights import CheckpointWeights
from export.graph.standard.graph import OPSET, Products
from export.graph.step.files import write_engine
from tests.engine.ort.small import RULES

from .cuda_kernels import Kernel, document, without_cuda_kernel
from .rows import tiny_bart
from .test_standard_graph import FAMILIES, WINDOW, standard, trained_classifier


def names(model: onnx.ModelProto) -> list[str]:
    return [f"{node.name} ({node.op_type})" for node in without_cuda_kernel(model)]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("window", [0, 16])
def test_the_engine_s_graphs_run_on_a_gpu_whole(tmp_path: Path, precision: str, window: int) -> None:
    model = tiny_bart()
    architecture = Architecture.of(model.config.to_dict(), window=window)
    write_engine(tmp_path, CheckpointWeights(model.state_dict()), architecture, RULES, precision)
    graphs = [onnx.load(tmp_path / name, load_external_data=False) for name in (ENCODER, STEP, PLAIN, BEGIN)]
    assert [names(graph) for graph in graphs] == [[]] * 4


@pytest.mark.parametrize("products", Products)
@pytest.mark.parametrize(
    ("model_type", "window"), [*((name, 0) for name in FAMILIES), ("distilbert", WINDOW), ("roberta", WINDOW)]
)
def test_the_classifiers_run_on_a_gpu_whole(model_type: str, window: int, products: Products) -> None:
    assert names(standard(model_type, trained_classifier(model_type, window), products)) == []


def graph_of(*nodes: onnx.NodeProto, kind: int = TensorProto.FLOAT, domain: str = "") -> onnx.ModelProto:
    """Nodes from ``x``, a matrix of this type."""
    made = helper.make_graph(nodes, "made", [helper.make_tensor_value_info("x", kind, ["rows", 4])], [])
    opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(made, opset_imports=opsets)


def test_an_operator_without_a_kernel_is_named() -> None:
    determinant = helper.make_node("Det", ["square"], ["y"], name="det")
    model = graph_of(helper.make_node("MatMul", ["x", "x"], ["square"], name="product"), determinant)
    assert names(model) == ["det (Det)"]


def test_a_kernel_for_other_types_is_none() -> None:
    clip = helper.make_node("Clip", ["x"], ["y"], name="clip")
    assert names(graph_of(clip)) == []
    assert names(graph_of(clip, kind=TensorProto.BFLOAT16)) == ["clip (Clip)"]
    assert names(graph_of(clip, kind=TensorProto.INT32)) == ["clip (Clip)"]
    cast = helper.make_node("Cast", ["x"], ["half"], to=TensorProto.BFLOAT16)
    clipped = helper.make_node("Clip", ["half"], ["y"], name="clip")
    assert names(graph_of(cast, clipped)) == ["clip (Clip)"]


def test_a_kernel_that_is_open_is_for_one_version_alone() -> None:
    """ONNX Runtime does not guess that a newer version of an operator means the same."""
    types = {"T": frozenset({"float"})}
    closed, still_open = Kernel(first=13, last=18, types=types), Kernel(first=13, last=None, types=types)
    assert [closed.is_for(version, {"T": "float"}) for version in (12, 13, 18, 19)] == [False, True, True, False]
    assert [still_open.is_for(version, {"T": "float"}) for version in (13, 14)] == [True, False]


def test_shapes_are_computed_on_the_cpu_anyway() -> None:
    rows = helper.make_node("Shape", ["x"], ["shape"], start=0, end=1)
    bits = helper.make_node("BitwiseNot", ["shape"], ["inverted"], name="not")
    assert names(graph_of(rows, bits)) == []
    number = helper.make_node("BitwiseNot", ["x"], ["inverted"], name="not")
    assert names(graph_of(number, kind=TensorProto.INT64)) == ["not (BitwiseNot)"]


def test_inner_graphs_and_functions_and_operators_of_microsoft_are_read() -> None:
    inner = helper.make_graph(
        [helper.make_node("Det", ["x"], ["inside"], name="det")],
        "inner",
        [],
        [helper.make_tensor_value_info("inside", TensorProto.FLOAT, [])],
    )
    choice = helper.make_node("Cast", ["x"], ["choice"], to=TensorProto.BOOL)
    branch = helper.make_node("If", ["choice"], ["y"], then_branch=inner, else_branch=inner)
    assert set(names(graph_of(choice, branch))) == {"det (Det)"}
    model = graph_of(helper.make_node("Twice", ["x"], ["y"], domain="mine"), domain="mine")
    body = [helper.make_node("Det", ["a"], ["b"])]
    model.functions.append(helper.make_function("mine", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", OPSET)]))
    assert [node.op_type for node in without_cuda_kernel(model)] == ["Det"]
    fast = helper.make_node("FastGelu", ["x"], ["y"], domain="com.microsoft", name="fast")
    assert names(graph_of(fast, domain="com.microsoft")) == []
    assert names(graph_of(fast, domain="com.microsoft", kind=TensorProto.INT32)) == ["fast (FastGelu)"]


def test_what_a_release_says_is_written_a_line_for_each_operator() -> None:
    def said(operator: str, kind: str, first: int, last: int = 2**31 - 1, provider: str = "CUDA") -> SimpleNamespace:
        return SimpleNamespace(
            provider=f"{provider}ExecutionProvider", domain="", op_name=operator, version_range=(first, last),
            type_constraints={"T": [f"tensor({kind})"]},
        )  # fmt: skip

    kernels = [
        said("Add", "float", 14), said("Add", "int64", 14), said("Add", "float", 7, 12), said("Abs", "float", 13),
        said("Sub", "float", 14, provider="CPU"),
    ]  # fmt: skip
    lines = document("9.9.9", kernels).splitlines()
    assert '      "Abs": [[13, null, {"T": "float"}]],' in lines
    assert '      "Add": [[14, null, {"T": "float int64"}]]' in lines
    assert not any("Sub" in line for line in lines)
