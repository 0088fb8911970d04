"""The fused operators of a step as ONNX functions; see `export.graph.functions` for what such a function is for."""

from __future__ import annotations

import numpy as np
import onnx

from engine.settings import Rules
from engine.tensors import CHOICES, NEXT, QUOTED, STATE, WISHES
from export.graph import int8_attention
from export.graph.functions import onnx_function
from export.graph.graph import Graph

from .advance import Advance
from .logic import LOWEST, Logic
from .places import newest_nodes
from .words import LISTS, Lists

ADVANCE_INPUTS = ("logits", *(tensor.name for tensor in (*WISHES, *CHOICES, *STATE, QUOTED)), *LISTS)
ADVANCE_OUTPUTS = tuple(f"{tensor.name}{NEXT}" for tensor in (*STATE, QUOTED))


def slot_store(heads: int) -> onnx.FunctionProto:
    """``Int8SlotStore``: as ``Int8CrossStore``, with room for longer articles; of a longer one the beginning is kept.

    ``both`` FLOAT (batch, length, 2 * width), keys beside values; ``room`` INT64 (1), positions of the result, padding
    added -> ``keys`` INT8, ``key_scales`` FLOAT, ``values`` INT8, ``value_scales`` FLOAT, to be read only by
    ``Int8CrossAttention``. A native kernel writes nothing behind the article's own positions. Attribute: ``num_heads``.
    """
    stored = ["keys", "key_scales", "values", "value_scales"]

    def body(graph: Graph) -> None:
        logic = Logic(graph)
        missing = graph.one("Sub", "room", logic.size("both", 1))
        whole = graph.one("Pad", "both", logic.joined([graph.ints([0] * 4), missing, graph.ints([0])], 0))
        int8_attention.store(graph, graph.reshape(whole, [0, 0, 2, heads, -1]), stored)

    return onnx_function("Int8SlotStore", ["both", "room"], stored, body, ["num_heads"])


def slot_attention(heads: int) -> onnx.FunctionProto:
    """``SlotAttention``: every beam attends to the tokens on its path, in the cache of its slot.

    ``parts`` FLOAT (rows, 3 * width), queries, keys and values of each beam's newest token side by side; ``key`` and
    ``value`` FLOAT (slots, heads, nodes, head size); ``length`` INT64 (slots), tokens so far; ``visible`` BOOL (slots,
    beams, nodes), the nodes on each beam's path without its newest one -> ``context`` FLOAT (rows, width), and the two
    caches with the newest tokens at nodes ``(length - 1) * beams`` and on. A native kernel writes into the cache itself
    where output and input are the same memory. Attribute: ``num_heads``.
    """

    def body(graph: Graph) -> None:
        logic, one = Logic(graph), graph.one
        slots, beams, nodes = (logic.size("visible", axis) for axis in range(3))
        size = logic.size("key", 3)
        first, seen = newest_nodes(logic, like="visible")
        by_head = one("Reshape", "parts", logic.shape(slots, beams, 3, heads, -1))
        stacked = one("Transpose", by_head, perm=[2, 0, 3, 1, 4])
        query, *new = (logic.squeeze(logic.slice(stacked, 0, i, i + 1), 0) for i in range(3))
        # Which of the newest tokens a node would hold, and whether it does.
        place = one("Sub", logic.range(nodes), logic.wide(first, 1))  # (slots, nodes)
        held = logic.all(one("GreaterOrEqual", place, logic.number(0)), one("Less", place, beams))
        held = logic.wide(held, 1, 3)
        last = one("Sub", beams, graph.ints([1]))
        index = logic.wide(one("Min", one("Max", place, logic.number(0)), last), 1, 3)
        index = logic.expand(index, 1, heads, 1, size)
        caches = [
            one("Where", held, logic.take(tokens, index, 2), cache, output=f"{cache}{NEXT}")
            for cache, tokens in zip(("key", "value"), new, strict=True)
        ]
        scale = one("Sqrt", logic.decimal(size))
        scores = one("Div", one("MatMul", query, one("Transpose", caches[0], perm=[0, 1, 3, 2])), scale)
        scores = logic.where(logic.wide(seen, 1), scores, logic.number(LOWEST, np.float32))
        context = one("MatMul", one("Softmax", scores, axis=-1), caches[1])
        context = one("Transpose", context, perm=[0, 2, 1, 3])
        one("Reshape", context, logic.shape(one("Mul", slots, beams), -1), output="context")

    inputs = ["parts", "key", "value", "length", "visible"]
    return onnx_function("SlotAttention", inputs, ["context", f"key{NEXT}", f"value{NEXT}"], body, ["num_heads"])


def advance_slots(rules: Rules, columns: int) -> onnx.FunctionProto:
    """``AdvanceSlots``: the search of a step for all slots, see `advance.Advance`.

    ``logits`` FLOAT (rows, columns); the tensors of `engine.tensors.WISHES`, `CHOICES`, `STATE` and ``quoted``; and the
    lists of the rules, INT64 (n) each -> the state of the next step, in the order of `STATE`, and ``quoted``.
    Attributes: ``words``, how many of the columns are words; ``pad_token``; ``first_token`` and ``last_token``, -1 for
    none; ``before``, how many tokens stand before the text; ``repetition_penalty``; ``longest_ngram``.
    """

    def body(graph: Graph) -> None:
        logic = Logic(graph)
        _, visible = newest_nodes(logic)
        found = Advance(logic, rules, Lists(*LISTS), visible=visible, columns=columns, choices=True).write("logits")
        for name, tensor in found.items():
            graph.one("Identity", tensor, output=f"{name}{NEXT}")

    attributes = ["words", "pad_token", "first_token", "last_token", "before", "repetition_penalty", "longest_ngram"]
    return onnx_function("AdvanceSlots", ADVANCE_INPUTS, ADVANCE_OUTPUTS, body, attributes)
