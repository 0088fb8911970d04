"""Where the newest tokens of the beams stand in the trees of their searches."""

from __future__ import annotations

from .logic import Logic


def newest_nodes(logic: Logic, *, like: str = "newest") -> tuple[str, str]:
    """Write the first of the newest nodes of each slot, and what its beams see.

    Args:
        logic: Of the graph, which has ``length`` and ``visible`` of `engine.tensors.STATE`.
        like: A tensor whose axis 1 is that of the beams.

    Returns:
        INT64 (slots,): node ``(t - 1) K`` of a slot with ``t`` tokens; and BOOL (slots, beams, nodes): the nodes on
        each beam's path, its newest one among them.
    """
    one, beams = logic.one, logic.size(like, 1)
    first = one("Mul", one("Sub", "length", logic.number(1)), beams)
    own = one("Add", logic.wide(first, 1), logic.range(beams))  # (slots, beams)
    newest = one("Equal", logic.range(logic.size("visible", 2)), logic.wide(own, 2))
    return first, logic.either("visible", newest)
