"""Runs a graph of bf16 on a CPU, for which ONNX Runtime has no kernels of bf16.

The graph is run in fp32, and every tensor that it would store in bf16 is rounded to bf16 where it would be stored:
weights, and what each node writes. That is what kernels on a GPU do, which compute inside in fp32; in which order they
sum up is theirs alone, and not compared here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from .reference import Feeds, Run

_TO_BOOLEAN: Final = frozenset({"Equal", "Greater", "Less", "And", "Or", "Not"})
_TO_SIZE: Final = frozenset({"Shape", "Size"})
_WEIGHTS: Final = "rounded.data"


@contextmanager
def running_rounded(model: Path, _operators: Path | None) -> Iterator[Run]:
    """A graph of bf16 in a session of its own; see `check.check_graph`."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    # Nothing is fused, as a pair of casts, which rounds, would be gone.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with tempfile.TemporaryDirectory(dir=model.parent, prefix=".rounded") as folder:
        path = Path(folder, model.name)
        # More than protobuf can hold, for the largest models.
        onnx.save(rounded(onnx.load(model)), path, save_as_external_data=True, location=_WEIGHTS)
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(feeds: Feeds) -> Any:
            return session.run(None, feeds)[0]

        yield run


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph of bf16 as one of fp32 that rounds as it does.

    Args:
        model: Of the operators that our writers use, without functions and inner graphs; it is left as it is.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    types = {one.name: one.type.tensor_type.elem_type for one in graph.input}
    types |= {one.name: one.data_type for one in graph.initializer}
    for stored in graph.initializer:
        if stored.data_type == TensorProto.BFLOAT16:
            stored.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(stored).astype(np.float32), stored.name))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        kind = _written(node, types)
        types |= dict.fromkeys(node.output, kind)
        nodes.append(node)
        if kind != TensorProto.BFLOAT16:
            continue
        for i, name in enumerate(node.output):
            exact, half = f"{name}_exact", f"{name}_half"
            node.output[i] = exact
            nodes.append(helper.make_node("Cast", [exact], [half], to=TensorProto.BFLOAT16))
            nodes.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
        if node.op_type == "Cast":
            node.attribute[0].i = TensorProto.FLOAT
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
    return made


def _written(node: onnx.NodeProto, types: Mapping[str, int]) -> int:
    """The type of what a node writes: of its first input, but for a few operators."""
    if node.op_type == "Cast":
        return int(next(one.i for one in node.attribute if one.name == "to"))
    if node.op_type in _TO_BOOLEAN:
        return int(TensorProto.BOOL)
    if node.op_type in _TO_SIZE:
        return int(TensorProto.INT64)
    return types[node.input[0]]
