"""An ``If`` in a graph: two ways of making the same tensors, of which a request's shapes choose one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import helper

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


def single(graph: Graph, tensor: str) -> str:
    """Whether a tensor (n, columns) has one column, and with it says that nothing is asked for: BOOL (1,)."""
    return graph.one("Equal", graph.dimension(tensor, 1), graph.ints([1]))
