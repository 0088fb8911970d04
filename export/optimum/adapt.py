"""Adapts a graph that optimum wrote for serving: the contract's tensors, the precisions, the fused operators.

The changes:

* The inputs are the contract's, INT32. Token types are 0 everywhere, as they are for one text, and no input.
* Dense layers and the token embedding are stored as in the graphs of `architectures`. In int8 every row is quantized
  by itself, so that an answer does not depend on its neighbours in a batch.
* Products of constants are computed at the export. DeBERTa projects its relative positions in every layer by the
  weights with which it projects the tokens; in int8 that would cost as much at every request as the tokens do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from export.errors import CheckpointError
from export.graph.functions import function
from export.graph.graph import OPSET, Graph, model_of, value
from export.graph.initializers import Initializers
from export.graph.precision import Precision
from infolens.contract import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS

from .source import Source, attributes_of, live, names_read, renamed

_LOGITS: Final = "logits"
_INPUTS: Final = (INPUT_IDS.name, ATTENTION_MASK.name, TOKEN_TYPE_IDS.name)
_PLAIN_GEMM: Final = {"alpha": 1.0, "beta": 1.0, "transA": 0}


@dataclass(frozen=True, kw_only=True)
class _Dense:
    """A product by a weight, with the addition of a bias where there is one."""

    x: str
    weight: str
    transposed: bool
    """Whether the weight is stored as (columns, rows)."""
    bias: str
    """Name of the bias; empty without one."""
    output: str
    """Name of the output that the rest of the graph reads."""
    head: bool
    """Whether it reads one vector for each article: torch writes ``Gemm`` for matrices, else ``MatMul``."""


def adapt(path: Path, precision: Precision, initializers: Initializers) -> onnx.ModelProto:
    """Write the graph that is served.

    Args:
        path: A graph that `convert.convert` returned.
        precision: Number format of the weights. Layers after the encoder, which read one vector of each article, stay
            in fp32.
        initializers: Where the weights are stored; empty at first.

    Returns:
        A model: ``input_ids``, ``attention_mask`` INT32 (batch, length) -> ``probabilities`` FLOAT (batch, classes).

    Raises:
        CheckpointError: The graph has other inputs or outputs than a classifier of texts, or other operators than
            those of ONNX's own operator set.
    """
    source = Source(path)
    classes = _examined(source.model)
    adapted = _Adapted(source, Graph(initializers, prefix="served_", precision=precision))
    adapted.write()
    inputs = [value(name, "INT32", ["batch", "length"]) for name in (INPUT_IDS.name, ATTENTION_MASK.name)]
    return model_of("optimum", adapted.graph, inputs, [value("probabilities", "FLOAT", ["batch", classes])], function)


def _examined(model: onnx.ModelProto) -> int:
    """Check that a graph can be adapted; returns its number of classes."""
    graph = model.graph
    if unknown := [entry.name for entry in graph.input if entry.name not in _INPUTS]:
        raise CheckpointError(
            f"a served classifier reads {', '.join(_INPUTS)}, but the graph that optimum wrote also wants "
            f"{', '.join(unknown)}; write a graph for its family in export/architectures/"
        )
    versions = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    if versions != {"ai.onnx": OPSET} or model.functions:
        raise CheckpointError(
            f"graphs of ONNX's operator set {OPSET} are adapted, without functions, and the one that optimum wrote has "
            f"{versions}; delete .cache/optimum, so that the next export makes it again from requirements/optimum.txt"
        )
    shape = next((list(entry.type.tensor_type.shape.dim) for entry in graph.output if entry.name == _LOGITS), [])
    if len(shape) != 2 or not shape[1].dim_value:
        raise CheckpointError(
            f"a classifier gives out {_LOGITS!r} of shape (batch, classes), but the graph that optimum wrote gives out "
            f"{', '.join(entry.name for entry in graph.output)}; export a model for sequence classification"
        )
    return int(shape[1].dim_value)


class _Adapted:
    def __init__(self, source: Source, graph: Graph) -> None:
        self.source = source
        self.graph = graph
        self.names: dict[str, str] = {}
        """New names of tensors of the source, where they differ."""
        self.shapes: dict[str, str] = {}
        """For each input of a dense layer the name of the shape that its output gets back."""
        self.done: set[str] = set()
        """Tensors of the source that were written together with an earlier one."""

    def write(self) -> None:
        """Write all nodes, and store the weights that they read."""
        graph, source = self.graph, self.source
        computed = source.products_of_constants()
        self._read_inputs()
        for node in source.nodes:
            self._write(node, computed)
        output = graph.one("Softmax", self.name(_LOGITS), output="probabilities", axis=-1)
        graph.nodes = live(graph.nodes, [output])
        read = {name for node in graph.nodes for name in names_read(node)}
        for name in sorted(read):
            if name in computed or source.is_weight(name):
                graph.initializers.add(name, source.array(name))
        for name in graph.initializers.tensors.keys() - read:
            del graph.initializers.tensors[name]

    def name(self, tensor: str) -> str:
        """The new name of a tensor of the source."""
        return self.names.get(tensor, tensor)

    def _read_inputs(self) -> None:
        graph = self.graph
        for name in (INPUT_IDS.name, ATTENTION_MASK.name):
            self.names[name] = graph.one("Cast", name, to=TensorProto.INT64)
        zero = numpy_helper.from_array(np.array([0], np.int64))
        self.names[TOKEN_TYPE_IDS.name] = graph.one("ConstantOfShape", graph.one("Shape", INPUT_IDS.name), value=zero)

    def _write(self, node: onnx.NodeProto, computed: set[str]) -> None:
        """Write one node of the source, or its replacement."""
        graph, outputs = self.graph, set(node.output)
        if outputs & self.done or outputs & computed:
            return
        if outputs <= self.source.constants:
            graph.nodes.append(node)
        elif dense := self._gemm(node) or self._product(node):
            self.names[dense.output] = self._dense(dense)
            self.done.add(dense.output)
        elif node.op_type == "MatMul":
            self.names[node.output[0]] = graph.product(*(self.name(name) for name in node.input))
        elif table := self._table(node):
            stored = graph.store_embedding(table, self.source.array(table))
            # Without this sum of one tensor, ONNX Runtime fuses a normalisation with the cast of fp16 rows before it,
            # and then finds two types at one operator.
            self.names[node.output[0]] = graph.one("Sum", graph.embedding(stored, INPUT_IDS.name))
        else:
            graph.nodes.append(renamed(node, self.names))

    # -- dense layers -------------------------------------------------------------------------------------------

    def _gemm(self, node: onnx.NodeProto) -> _Dense | None:
        if node.op_type != "Gemm" or len(node.input) != 3:
            return None
        attributes = {**_PLAIN_GEMM, "transB": 0, **attributes_of(node)}
        weight, transposed = self.source.weight_of(node.input[1])
        bias, _ = self.source.weight_of(node.input[2])
        swapped = transposed ^ bool(attributes.pop("transB"))
        if attributes != _PLAIN_GEMM or not self._fits(weight, swapped, bias):
            return None
        return _Dense(x=node.input[0], weight=weight, transposed=swapped, bias=bias, output=node.output[0], head=True)

    def _product(self, node: onnx.NodeProto) -> _Dense | None:
        """A ``MatMul`` by a weight, with the ``Add`` of a bias after it if no other node reads the product."""
        if node.op_type != "MatMul":
            return None
        weight, transposed = self.source.weight_of(node.input[1])
        if not weight or len(self.source.shape(weight)) != 2:
            return None
        dense = _Dense(
            x=node.input[0], weight=weight, transposed=transposed, bias="", output=node.output[0], head=False
        )
        reader = self.source.only_reader(node.output[0])
        if reader is None or reader.op_type != "Add":
            return dense
        other = next(name for name in reader.input if name != node.output[0])
        bias, _ = self.source.weight_of(other)
        if not self._fits(weight, transposed, bias):
            return dense
        return replace(dense, bias=bias, output=reader.output[0])

    def _fits(self, weight: str, transposed: bool, bias: str) -> bool:
        """Whether these are a matrix, and a vector with an element for each of its columns."""
        if not weight or not bias or len(self.source.shape(weight)) != 2:
            return False
        return self.source.shape(bias) == (self.source.shape(weight)[0 if transposed else 1],)

    def _dense(self, dense: _Dense) -> str:
        """Write a dense layer; returns the name of its output."""
        graph, x = self.graph, self.name(dense.x)
        weight = self.source.array(dense.weight)
        weight = weight.T if dense.transposed else weight
        bias = self.source.array(dense.bias) if dense.bias else None
        # Layers may share a weight and not the bias, or the other way round.
        name = f"{dense.weight}+{dense.bias}" if dense.bias else dense.weight
        if dense.head and bias is not None:
            return graph.dense(x, name, weight, bias)
        graph.batch_shape = self._shape(x)
        return graph.linear(x, name, weight, bias)

    def _shape(self, x: str) -> str:
        """The shape of ``x`` with -1 in the place of its width."""
        if x not in self.shapes:
            front = self.graph.one("Shape", x, start=0, end=-1)
            self.shapes[x] = self.graph.one("Concat", front, self.graph.ints([-1]), axis=0)
        return self.shapes[x]

    # -- the token embedding -------------------------------------------------------------------------------------

    def _table(self, node: onnx.NodeProto) -> str:
        """Name of the embedding table in which a node looks up the tokens; empty for any other node."""
        if node.op_type != "Gather" or attributes_of(node).get("axis", 0) != 0 or node.input[1] != INPUT_IDS.name:
            return ""
        table, transposed = self.source.weight_of(node.input[0])
        return table if table and not transposed and len(self.source.shape(table)) == 2 else ""
