"""An ``If`` in a graph: two ways of making the same tensors, of which a request's shapes choose one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import helper, numpy_helper

from .graph import Graph

Branch = Callable[[Graph], Sequence[str]]
"""Writes a branch; returns the names of its outputs, which are no tensors of the graph around it."""


def either(
    graph: Graph, condition: str, then: Branch, otherwise: Branch, *, kinds: Sequence[int], outputs: Sequence[str]
) -> list[str]:
    """Write an ``If``; its branches see everything that the graph has.

    Args:
        graph: Where it goes.
        condition: BOOL (1,).
        then: The branch of a condition that holds...
        otherwise: ...and the other; both have as many outputs.
        kinds: The types of these.
        outputs: Their names after the ``If``.
    """
    branches = {}
    for name, write in (("then_branch", then), ("else_branch", otherwise)):
        inner = graph.inner(f"{outputs[0]}_{name}_")
        found = zip(write(inner), kinds, strict=True)
        made = [helper.make_tensor_value_info(output, kind, None) for output, kind in found]
        branches[name] = helper.make_graph(inner.nodes, f"{outputs[0]}_{name}", [], made)
    return graph.add("If", [condition], outputs=outputs, **branches)


def where_asked(
    graph: Graph, condition: str, write: Branch, *, kinds: Sequence[int], outputs: Sequence[str]
) -> list[str]:
    """Write what is only computed where a condition holds; elsewhere the outputs have no elements. See `either`."""

    def nothing(branch: Graph) -> list[str]:
        zeros = (numpy_helper.from_array(np.zeros(1, helper.tensor_dtype_to_np_dtype(kind))) for kind in kinds)
        return [branch.one("ConstantOfShape", branch.ints([0]), value=zero) for zero in zeros]

    return either(graph, condition, write, nothing, kinds=kinds, outputs=outputs)


def single(graph: Graph, tensor: str) -> str:
    """Whether a tensor (n, columns) has one column, and with it says that nothing is asked for: BOOL (1,)."""
    return graph.one("Equal", graph.dimension(tensor, 1), graph.ints([1]))
