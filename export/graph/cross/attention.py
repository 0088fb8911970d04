"""The cross attention of a beam search: keys and values are stored once for each article, and read at every step."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto

from export.graph import int8_attention
from export.graph.graph import DOMAIN, Graph
from infolens.contract import ATTENTION_MASK


class CrossAttention:
    """The attention of a decoder's layers to an article.

    Attributes:
        kinds: The types of the tensors that `store` returns for a layer.
        stored: The names of those of all layers, one layer after the other, from when they are there.
    """

    def __init__(self, outer: Graph, *, heads: int, head_size: int) -> None:
        """Take the graph around the loop, and the number and the width of the heads."""
        self.heads, self.head_size = heads, head_size
        self.stored: Sequence[str] = ()
        self._integers, self._half = outer.numbers.integers, outer.numbers.half
        single = TensorProto.FLOAT16 if self._half else TensorProto.FLOAT
        self.kinds = (TensorProto.INT8, TensorProto.FLOAT) * 2 if self._integers else (single,) * 2
        self._bias = int8_attention.mask_bias(outer, ATTENTION_MASK.name) if self._integers else ""

    def store(self, graph: Graph, both: str) -> list[str]:
        """The tensors of an article for every step, from its keys beside its values (batch, length, 2 * width)."""
        if self._integers:
            return graph.add("Int8CrossStore", [both], outputs=4, domain=DOMAIN, num_heads=self.heads)
        by_head = graph.reshape(both, [0, 0, 2, self.heads, self.head_size])
        sides = graph.add("Split", [graph.one("Transpose", by_head, perm=[2, 0, 3, 1, 4])], outputs=2, axis=0)
        pair = [graph.one("Squeeze", side, graph.ints([0])) for side in sides]
        # Cast to fp16 once for each article, not at every step.
        return [graph.half(side) for side in pair] if self._half else pair

    def look(self, graph: Graph, query: str, layer: int, by_beam: str) -> str:
        """What the beams find in an article, FLOAT (batch * beams, width).

        Args:
            graph: The body of the loop.
            query: FLOAT (batch * beams, width).
            layer: The number of the layer.
            by_beam: The shape (batch, beams, -1), INT64 (3,).
        """
        count = len(self.kinds)
        stored = self.stored[layer * count : (layer + 1) * count]
        if self._integers:
            return graph.fused("Int8CrossAttention", query, *stored, self._bias, num_heads=self.heads)
        # The beams of an article are the query positions of one attention: (batch, beams, width).
        query = graph.one("Reshape", query, by_beam)
        context = graph.attention([query, *stored, "", ATTENTION_MASK.name], self.heads)[0]
        return graph.reshape(context, [-1, self.heads * self.head_size])
