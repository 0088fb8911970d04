"""The nodes of a graph that ONNX Runtime's CUDA provider has no kernel for, without a GPU.

``cuda_kernels.json`` says what one release of onnxruntime-gpu registers: by domain and operator the versions of the
operator that a kernel is for, and the types of its type constraints. ``python -m tests.export.graph.cuda_kernels``
writes it anew on a machine with a GPU, onnxruntime-gpu and the libraries of TensorRT, which ONNX Runtime loads to
answer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto
from onnx.inliner import inline_local_functions
from onnxruntime.capi import onnxruntime_pybind11_state as state

FILE: Final = Path(__file__).with_suffix(".json")
OLDEST_OPSET: Final = 17
"""Kernels that only older models need are left out."""
_OPEN: Final = 2**31 - 1
"""ONNX Runtime's last version of a kernel for a version of an operator that had no successor."""
_SOURCES: Final = frozenset({"Shape", "Size"})
_TYPED: Final = {"Cast": "to", "Constant": "value", "ConstantOfShape": "value"}
"""Operators whose output has the type of an attribute."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel for some versions of an operator."""

    first: int
    last: int | None
    """None for a kernel of the version ``first`` alone, as long as the operator has no newer one."""
    types: Mapping[str, frozenset[str]]
    """By type constraint, or by the name of an input or output: ``float16``, ``int64``..."""

    def is_for(self, version: int, types: Mapping[str, str]) -> bool:
        """Whether it computes a node, by ONNX Runtime's rule.

        Args:
            version: The model's version of the operator.
            types: The node's types by constraint and by name; those of what the node leaves out are missing.
        """
        known = self.first == version or (self.last is not None and self.first < version <= self.last)
        return known and all(types[name] in allowed for name, allowed in self.types.items() if name in types)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A version of an operator."""

    version: int
    inputs: Sequence[tuple[str, str]]
    """Name, and type or type constraint; the last is that of all further ones."""
    outputs: Sequence[tuple[str, str]]
    single: Mapping[str, str]
    """The type of each constraint that allows only one."""


@cache
def cuda_kernels() -> Mapping[tuple[str, str], tuple[Kernel, ...]]:
    """The kernels by domain (`ai.onnx` is the empty one) and operator."""
    found = json.loads(FILE.read_text(encoding="utf-8"))["kernels"]
    return {
        (domain, operator): tuple(
            Kernel(first=first, last=last, types={name: frozenset(words.split()) for name, words in types.items()})
            for first, last, types in kernels
        )
        for domain, operators in found.items()
        for operator, kernels in operators.items()
    }


def without_cuda_kernel(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that the CUDA provider cannot compute, in the graph's order; those of inner graphs and functions too.

    Arithmetic with the shapes of tensors is left out: ONNX Runtime computes it on the CPU anyway.

    Raises:
        ValueError: The type of a tensor cannot be told.
    """
    flat = inline_local_functions(model)
    return list(_Reader({opset.domain: opset.version for opset in flat.opset_import}).missing(flat.graph, {}, set()))


class _Reader:
    def __init__(self, opsets: Mapping[str, int]) -> None:
        self._opsets = opsets

    def missing(self, graph: onnx.GraphProto, outer: Mapping[str, str], known: set[str]) -> Iterator[onnx.NodeProto]:
        """Nodes without a kernel.

        Args:
            graph: The graph.
            outer: Types of the tensors around it.
            known: Those of them that follow from shapes and constants.
        """
        types = {**outer, **{one.name: _kind(one.data_type) for one in graph.initializer}}
        types |= {one.name: _kind(one.type.tensor_type.elem_type) for one in graph.input}
        shapes = known | {one.name for one in graph.initializer}
        for node in graph.node:
            signature = _signature(node.domain, node.op_type, self._opsets[node.domain])
            named = _named(node.input, signature.inputs, types)
            for name, (formal, constraint) in _paired(node.output, signature.outputs):
                types[name] = named[formal] = _output_type(node, name, constraint, named, signature)
                named.setdefault(constraint, types[name])
            about_shapes = node.op_type in _SOURCES or shapes.issuperset(filter(None, node.input))
            if about_shapes:
                shapes.update(node.output)
            kernels = cuda_kernels().get((node.domain, node.op_type), ())
            if not about_shapes and not any(kernel.is_for(signature.version, named) for kernel in kernels):
                yield node
            for attribute in node.attribute:
                for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                    yield from self.missing(inner, types, shapes)


def _named(names: Sequence[str], formals: Sequence[tuple[str, str]], types: Mapping[str, str]) -> dict[str, str]:
    """The types of inputs, by their names in the signature and by type constraint."""
    found: dict[str, str] = {}
    for name, (formal, constraint) in _paired(names, formals):
        found[formal] = types[name]
        found.setdefault(constraint, types[name])
    return found


def _paired(names: Sequence[str], formals: Sequence[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """The tensors of a node with what its signature says of each; the last goes on as often as it must."""
    for index, name in enumerate(names):
        if name:
            yield name, formals[min(index, len(formals) - 1)]


def _output_type(
    node: onnx.NodeProto, name: str, constraint: str, named: Mapping[str, str], signature: Signature
) -> str:
    attributes = {one.name: one for one in node.attribute}
    if node.op_type in _TYPED and _TYPED[node.op_type] in attributes:
        said = attributes[_TYPED[node.op_type]]
        return _kind(said.t.data_type if said.HasField("t") else said.i)
    if node.op_type == "ConstantOfShape":
        return "float"
    bodies = [one.g for one in node.attribute if one.HasField("g")]
    if bodies:  # What a loop carries comes after its condition.
        told = bodies[0].output[len(bodies[0].output) - len(node.output) + list(node.output).index(name)]
        return _kind(told.type.tensor_type.elem_type)
    if constraint.startswith("tensor("):
        return _bare(constraint)
    if constraint in named:
        return named[constraint]
    if constraint in signature.single:
        return signature.single[constraint]
    raise ValueError(f"the type of {name!r}, which {node.op_type} writes, is not told by its inputs: add a rule here")


@cache
def _signature(domain: str, operator: str, opset: int) -> Signature:
    if domain == "":
        schema: Any = onnx.defs.get_schema(operator, opset, domain)
        inputs, outputs = ([(one.name, one.type_str) for one in side] for side in (schema.inputs, schema.outputs))
    else:
        mine = [one for one in state.get_all_operator_schema() if (one.domain, one.name) == (domain, operator)]
        fitting = [one for one in mine if one.since_version <= opset]
        if not fitting:
            raise ValueError(f"ONNX Runtime knows no operator {domain}.{operator} of version {opset} or older")
        schema = max(fitting, key=lambda one: int(one.since_version))
        inputs, outputs = ([(one.name, one.typeStr) for one in side] for side in (schema.inputs, schema.outputs))
    allowed = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    return Signature(
        version=schema.since_version,
        inputs=inputs,
        outputs=outputs,
        single={name: _bare(kinds[0]) for name, kinds in allowed.items() if len(kinds) == 1},
    )


def _kind(number: int) -> str:
    """``float16`` for ``TensorProto.FLOAT16``."""
    return str(TensorProto.DataType.Name(number)).lower()


def _bare(kind: str) -> str:
    """``float16`` for ``tensor(float16)``."""
    return kind.removeprefix("tensor(").removesuffix(")")


# -- writing the file -----------------------------------------------------------------------------------------------


def document(release: str, kernels: Sequence[Any]) -> str:
    """The text of the file, a line for each operator.

    Args:
        release: Of onnxruntime-gpu.
        kernels: What ``get_all_opkernel_def`` returns there.
    """
    found: dict[str, dict[str, list[Kernel]]] = defaultdict(lambda: defaultdict(list))
    for one in kernels:
        first, last = one.version_range
        if one.provider == "CUDAExecutionProvider" and last >= OLDEST_OPSET and one.domain in ("", "com.microsoft"):
            types = {name: frozenset(map(_bare, kinds)) for name, kinds in one.type_constraints.items()}
            kernel = Kernel(first=first, last=None if last == _OPEN else last, types=types)
            found[one.domain][one.op_name].append(kernel)
    domains = [
        f'    "{domain}": {{\n'
        + ",\n".join(f'      "{name}": {_line(kernels)}' for name, kernels in sorted(operators.items()))
        + "\n    }"
        for domain, operators in sorted(found.items())
    ]
    head = f'  "release": "{release}",\n  "oldest_opset": {OLDEST_OPSET},\n'
    return "{\n" + head + '  "kernels": {\n' + ",\n".join(domains) + "\n  }\n}\n"


def _line(kernels: Sequence[Kernel]) -> str:
    """Kernels in JSON; those that differ in one constraint alone are one."""
    left = list(kernels)
    merged: list[Kernel] = []
    while left:
        kernel = left.pop()
        for other in left:
            both = _merged(kernel, other)
            if both is not None:
                left.remove(other)
                left.append(both)
                break
        else:
            merged.append(kernel)
    rows = [
        [one.first, one.last, {name: " ".join(sorted(kinds)) for name, kinds in sorted(one.types.items())}]
        for one in merged
    ]
    return json.dumps(sorted(rows, key=json.dumps))


def _merged(one: Kernel, other: Kernel) -> Kernel | None:
    if (one.first, one.last, one.types.keys()) != (other.first, other.last, other.types.keys()):
        return None
    if sum(one.types[name] != other.types[name] for name in one.types) > 1:
        return None
    both = {name: one.types[name] | other.types[name] for name in one.types}
    return Kernel(first=one.first, last=one.last, types=both)


if __name__ == "__main__":
    import onnxruntime

    onnxruntime.preload_dlls()
    FILE.write_text(document(onnxruntime.__version__, state.get_all_opkernel_def()), encoding="utf-8")
