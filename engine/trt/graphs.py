"""A graph of an artefact in the form that TensorRT takes: its dimensions are numbers, and two of its nodes others.

* ``Attention`` without ``softmax_precision``, which the parser refuses; the fused kernels have no such choice.
* ``LayerNormalization`` with casts around it where it is asked to compute in fp32 and its input is narrower: the type
  of a layer is that of its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.artefact import ENCODER
from engine.executor import UnavailableError
from engine.settings import Bucket

if TYPE_CHECKING:
    import onnx

_NARROW: Final = ("fp16", "bf16")


def sizes_of(name: str, bucket: Bucket) -> dict[str, int]:
    """The dimensions of a graph by name; the encoder reads one article at a time."""
    return bucket.sizes | ({"slots": 1} if name == ENCODER else {})


def prepared(path: Path, sizes: Mapping[str, int], precision: str) -> bytes:
    """Read a graph, without its weights, and write it for TensorRT.

    Args:
        path: The graph; its weights stay in their file beside it.
        sizes: The dimensions by name.
        precision: One of `engine.artefact.PRECISIONS`.

    Raises:
        UnavailableError: The package ``onnx`` is not installed.
        ValueError: A dimension of the graph has no size.
    """
    try:
        import onnx
    except ImportError as error:
        raise UnavailableError(
            f"the package onnx, which TensorRT's graphs are prepared with, is missing: {error}"
        ) from error
    model = onnx.load(path, load_external_data=False)
    for tensor in (*model.graph.input, *model.graph.output):
        for dim in tensor.type.tensor_type.shape.dim:
            if dim.dim_param:
                if dim.dim_param not in sizes:
                    known = ", ".join(sizes)
                    raise ValueError(f"{path.name} has a dimension {dim.dim_param!r} of {tensor.name}; known: {known}")
                dim.dim_value = sizes[dim.dim_param]
    _free_softmax(model.graph)
    if precision in _NARROW:
        _widen_norms(model.graph, onnx)
    written: bytes = model.SerializeToString()
    return written


def _free_softmax(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.op_type == "Attention":
            kept = [attribute for attribute in node.attribute if attribute.name != "softmax_precision"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _widen_norms(graph: onnx.GraphProto, onnx: Any) -> None:
    """Normalise in fp32; casts of a tensor that is in fp32 already do nothing."""
    half = _narrow_type(graph, onnx)
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type != "LayerNormalization" or half is None:
            graph.node.append(node)
            continue
        stem, narrow = node.name or node.output[0], node.output[0]
        for i, name in enumerate(node.input):
            wide = f"{stem}_in_fp32_{i}"
            graph.node.append(onnx.helper.make_node("Cast", [name], [wide], to=onnx.TensorProto.FLOAT))
            node.input[i] = wide
        node.output[0] = f"{stem}_out_fp32"
        graph.node.append(node)
        graph.node.append(onnx.helper.make_node("Cast", [node.output[0]], [narrow], to=half))


def _narrow_type(graph: onnx.GraphProto, onnx: Any) -> int | None:
    """The type of the parameters of the normalisations; None where that is fp32, or there are none."""
    parameters = {node.input[1] for node in graph.node if node.op_type == "LayerNormalization"}
    types = {tensor.data_type for tensor in graph.initializer if tensor.name in parameters} - {onnx.TensorProto.FLOAT}
    return types.pop() if types else None
