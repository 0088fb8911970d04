"""The nodes of a graph whose CUDA kernel reads the host's memory when it is replayed, without a GPU.

Some kernels of ONNX Runtime's CUDA provider copy lists of sizes or of addresses from memory of the host that is given
to others after the run. A CUDA graph captures the copy, and its replays read whatever lies there by then. Which kernels
of 1.29 do so was seen with a stand-in for CUDA's library that counts the copies during a capture: of the operators that
our graphs have, only those below did, in the cases that their rules name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import onnx
import onnxruntime as ort
from onnx import helper
from onnx.inliner import inline_local_functions

MOST_PARTS: Final = 32
"""Addresses of so many parts of one size are arguments of a kernel."""
_INNER_PARTS: Final = 3
"""A split of the last axis into so many parts has a kernel of its own, whatever their sizes."""

Shape = tuple[int, ...]


def reads_the_host(model: onnx.ModelProto, dims: Mapping[str, int]) -> list[onnx.NodeProto]:
    """The nodes on the GPU that a replay gives memory of the host, in the graph's order.

    Args:
        model: The graph, with its weights; those of inner graphs are not looked at, since none is captured.
        dims: Its dimensions by name; all must be known.

    Raises:
        ValueError: The shape of a tensor does not follow from the dimensions.
    """
    flat = inline_local_functions(model)
    asked = [node for node in _on_the_gpu(flat.graph) if node.op_type in _RULES]
    shapes = _shapes(flat, dims, [name for node in asked for name in (*node.input, *node.output) if name])
    return [node for node in asked if _RULES[node.op_type](node, shapes)]


def _on_the_gpu(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Those that do not follow from shapes and constants, which are computed on the CPU, or at load."""
    known = {one.name for one in graph.initializer} | {""}
    found = []
    for node in graph.node:
        if node.op_type in ("Shape", "Size") or known.issuperset(node.input):
            known.update(node.output)
        else:
            found.append(node)
    return found


def _shapes(model: onnx.ModelProto, dims: Mapping[str, int], names: Sequence[str]) -> dict[str, Shape]:
    """The shapes of some tensors, as ONNX Runtime infers them."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    have = {one.name for one in (*shown.graph.output, *shown.graph.input)}
    stored = {one.name: tuple(one.dims) for one in shown.graph.initializer}
    asked = [name for name in dict.fromkeys(names) if name not in have and name not in stored]
    shown.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in asked)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC  # It computes with shapes.
    for name, size in dims.items():
        options.add_free_dimension_override_by_name(name, size)
    session = ort.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = {one.name: one.shape for one in (*session.get_inputs(), *session.get_outputs())}
    unknown = [name for name in names if name not in stored and not _is_known(found[name])]
    if unknown:
        raise ValueError(f"the shape of {unknown[0]!r} does not follow from {', '.join(dims)}: give all dimensions")
    return stored | {name: tuple(shape) for name, shape in found.items() if _is_known(shape)}


def _is_known(shape: Sequence[object] | None) -> bool:
    return shape is not None and all(isinstance(size, int) for size in shape)


def _axis(node: onnx.NodeProto, rank: int) -> int:
    """The axis of a node; 0 where it names none."""
    return next((one.i for one in node.attribute if one.name == "axis"), 0) % rank


def _unequal(parts: Sequence[Shape], axis: int) -> bool:
    return len({part[axis] for part in parts}) > 1 or len(parts) > MOST_PARTS


def _concat(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> bool:
    parts = [shapes[name] for name in node.input]
    return _unequal(parts, _axis(node, len(parts[0])))


def _split(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> bool:
    parts = [shapes[name] for name in node.output]
    axis = _axis(node, len(parts[0]))
    inner = len(parts) == _INNER_PARTS and axis == len(parts[0]) - 1
    return not inner and _unequal(parts, axis)


def _product(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> bool:
    """A product with one matrix on the right, or of as many on both sides, is one call of cuBLAS."""
    left, right = (shapes[name] for name in node.input[:2])
    if len(right) == 1:
        return len(left) > 2
    return math.prod(right[:-2]) not in (1, math.prod(left[:-2]))


def _always(_node: onnx.NodeProto, _shapes: Mapping[str, Shape]) -> bool:
    return True


_RULES: Final = {"Concat": _concat, "Split": _split, "MatMul": _product, "GatherND": _always}
