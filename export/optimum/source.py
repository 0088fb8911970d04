"""Reading a graph that another tool wrote: its constants, their values, and the nodes that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

PRODUCTS: Final = ("MatMul", "Gemm")
"""The operators that multiply by a weight."""


class Source:
    """A graph whose weights are read on demand: those in a file of their own are never all in memory.

    Attributes:
        model: The graph without the weights that have a file of their own.
        nodes: Its nodes, each after those that it reads from.
        constants: Names of the tensors that depend on no input of the graph.
    """

    def __init__(self, path: Path) -> None:
        """Read the graph ``path``."""
        self.model = onnx.load(str(path), load_external_data=False)
        self._folder = str(path.parent)
        graph = self.model.graph
        self.nodes = list(graph.node)
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in self.nodes for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in names_read(node):
                self._readers.setdefault(name, []).append(node)
        self.constants = set(self._weights)
        for node in self.nodes:
            if not _inner_graphs(node) and all(name in self.constants for name in node.input if name):
                self.constants.update(node.output)

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The node that reads ``name``, if there is exactly one; else None."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def is_weight(self, name: str) -> bool:
        """Whether ``name`` is a stored weight, not the output of a node."""
        return name in self._weights

    def weight_of(self, name: str) -> tuple[str, bool]:
        """The stored matrix or vector that is read as ``name``: its own name, and whether it is transposed.

        The name is empty if there is no such weight of type FLOAT.
        """
        transposed = False
        while name in self._producers and self._producers[name].op_type in ("Identity", "Transpose"):
            node = self._producers[name]
            order = attributes_of(node).get("perm", [1, 0] if node.op_type == "Transpose" else [0, 1])
            transposed ^= order == [1, 0]
            name = node.input[0]
        tensor = self._weights.get(name)
        fits = tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) in (1, 2)
        return (name, transposed) if fits else ("", False)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a stored weight."""
        return tuple(self._weights[name].dims)

    def array(self, name: str) -> npt.NDArray[Any]:
        """The value of a constant: read from the file, or computed by the nodes that produce it."""
        if name in self._weights:
            return numpy_helper.to_array(self._weights[name], self._folder)
        nodes = live(self.nodes, [name])
        read = {used for node in nodes for used in names_read(node)}
        weights = [numpy_helper.from_array(self.array(used), used) for used in sorted(read & set(self._weights))]
        graph = helper.make_graph(nodes, "constant", [], [onnx.ValueInfoProto(name=name)], initializer=weights)
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        model.ir_version = self.model.ir_version
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        array: npt.NDArray[Any] = np.asarray(session.run([name], {})[0])
        return array

    def products_of_constants(self) -> set[str]:
        """The constants that depend on a product of constants and are read by nodes that are not constant."""
        computed: set[str] = set()
        for node in self.nodes:
            inside = node.op_type in PRODUCTS or any(name in computed for name in node.input)
            if inside and set(node.output) <= self.constants:
                computed.update(node.output)
        varying = (node for node in self.nodes if not set(node.output) <= self.constants)
        return {name for node in varying for name in names_read(node) if name in computed}


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _inner_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def names_read(node: onnx.NodeProto) -> Iterator[str]:
    """Names of the tensors that a node reads, with those that its inner graphs (as of ``If``) read from outside."""
    yield from (name for name in node.input if name)
    for graph in _inner_graphs(node):
        own = {name for inner in graph.node for name in inner.output} | {tensor.name for tensor in graph.initializer}
        own |= {entry.name for entry in graph.input}
        yield from (name for inner in graph.node for name in names_read(inner) if name not in own)


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy of a node that reads other tensors, in its inner graphs too."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    for graph in _inner_graphs(copy):
        inner = [renamed(each, names) for each in graph.node]
        del graph.node[:]
        graph.node.extend(inner)
    return copy


def live(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that ``outputs`` depend on, in their order."""
    wanted, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(names_read(node))
    return kept[::-1]
