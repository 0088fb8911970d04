"""Small pieces of the graphs of a step: sizes, flags, and tensors that are moved, repeated or chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from onnx import TensorProto

from export.graph.graph import Graph

LOWEST: Final = -np.inf
_END: Final = np.iinfo(np.int64).max


class Logic:
    """Writes them into one graph; tensors are known by their names, as in `Graph`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.one = graph.one
        self._sizes: dict[tuple[str, int], str] = {}

    def number(self, value: Any, dtype: Any = np.int64) -> str:
        """A constant of any shape."""
        return self.graph.initializers.constant(value, dtype)

    def size(self, tensor: str, axis: int) -> str:
        """The size of an axis: INT64 (1,); written once for each."""
        key = (tensor, axis)
        if key not in self._sizes:
            self._sizes[key] = self.graph.dimension(tensor, axis)
        return self._sizes[key]

    def range(self, size: str) -> str:
        """INT64 0 to ``size`` (1,) without it: (size,)."""
        return self.one("Range", self.number(0), self.squeeze(size, 0), self.number(1))

    def wide(self, tensor: str, *axes: int) -> str:
        """With axes of size 1 put in."""
        return self.one("Unsqueeze", tensor, self.graph.ints(axes))

    def squeeze(self, tensor: str, *axes: int) -> str:
        """Without axes of size 1."""
        return self.one("Squeeze", tensor, self.graph.ints(axes))

    def shape(self, *sizes: str | int) -> str:
        """INT64 (n,) of sizes (1,) and numbers."""
        return self.one("Concat", *(self.graph.ints([s]) if isinstance(s, int) else s for s in sizes), axis=0)

    def expand(self, tensor: str, *sizes: str | int) -> str:
        """Repeated to a shape; a size of 1 keeps what is there."""
        return self.one("Expand", tensor, self.shape(*sizes))

    def slice(self, tensor: str, axis: int, start: int, end: int = _END) -> str:
        """A part of an axis."""
        return self.one("Slice", tensor, *(self.graph.ints([n]) for n in (start, end, axis)))

    def take(self, tensor: str, index: str, axis: int) -> str:
        """``GatherElements``."""
        return self.one("GatherElements", tensor, index, axis=axis)

    def rows_of(self, tensor: str, index: str, width: str) -> str:
        """Vectors (slots, n, width) at places (slots, m): (slots, m, width)."""
        return self.take(tensor, self.expand(self.wide(index, 2), 1, 1, width), 1)

    def all(self, *flags: str) -> str:
        """``And`` of several."""
        found = flags[0]
        for flag in flags[1:]:
            found = self.one("And", found, flag)
        return found

    def either(self, *flags: str) -> str:
        """``Or`` of several."""
        found = flags[0]
        for flag in flags[1:]:
            found = self.one("Or", found, flag)
        return found

    def no(self, flag: str) -> str:
        """``Not``."""
        return self.one("Not", flag)

    def any_along(self, flags: str, axis: int) -> str:
        """Whether any flag of an axis is set; the axis stays, with size 1."""
        return self.flag(self.graph.reduce("ReduceMax", self.integer(flags), axis))

    def all_along(self, flags: str, axis: int) -> str:
        """Whether all flags of an axis are set."""
        return self.flag(self.graph.reduce("ReduceMin", self.integer(flags), axis))

    def integer(self, flags: str) -> str:
        """Flags as INT32."""
        return self.one("Cast", flags, to=TensorProto.INT32)

    def decimal(self, tensor: str) -> str:
        """As FLOAT."""
        return self.one("Cast", tensor, to=TensorProto.FLOAT)

    def flag(self, tensor: str) -> str:
        """As BOOL: whether it is not 0."""
        return self.one("Cast", tensor, to=TensorProto.BOOL)

    def where(self, flag: str, yes: str, no: str) -> str:
        """``Where``, for numbers."""
        return self.one("Where", flag, yes, no)

    def choose(self, flag: str, yes: str, no: str, dtype: str) -> str:
        """``Where``, for numbers and for flags, for which ONNX Runtime has none."""
        if dtype != "BOOL":
            return self.where(flag, yes, no)
        return self.either(self.all(flag, yes), self.all(self.no(flag), no))

    def barred(self, flag: str, scores: str) -> str:
        """Minus infinity where a flag is set, else the scores."""
        return self.where(flag, self.number(LOWEST, np.float32), scores)

    def joined(self, parts: Sequence[str], axis: int) -> str:
        """``Concat`` of parts of one size.

        For parts of several sizes ONNX Runtime copies lists of them from the host, which a CUDA graph would read again
        after they are gone.
        """
        return parts[0] if len(parts) == 1 else self.one("Concat", *parts, axis=axis)

    def delayed(self, tensor: str, by: int, filling: str) -> str:
        """The last axis of (slots, beams, n) moved right by some places, which get a number: (slots, beams, n)."""
        places = self.range(self.size(tensor, 2))
        return self.where(self.one("Less", places, self.number(by)), filling, self._right(tensor, places, by))

    def beside(self, left: str, count: int, right: str) -> str:
        """Numbers (slots, 1 or beams, count) before others (slots, beams, n): (slots, beams, count + n)."""
        places = self.range(self.one("Add", self.size(right, 2), self.graph.ints([count])))
        if count > 1:
            left = self.one("Gather", left, self.one("Min", places, self.number(count - 1)), axis=2)
        return self.where(self.one("Less", places, self.number(count)), left, self._right(right, places, count))

    def _right(self, tensor: str, places: str, by: int) -> str:
        """What stands ``by`` places to the left of each place (n,) of the last axis; the first element at the start."""
        index = self.one("Max", self.one("Sub", places, self.number(by)), self.number(0))
        return self.one("Gather", tensor, index, axis=2)

    def is_in(self, tokens: str, some: str, count: int) -> str:
        """Which of some tokens, INT64 (slots, n), are among ``count`` others, INT64 (count,): BOOL."""
        if count == 1:
            return self.one("Equal", tokens, some)
        return self.squeeze(self.any_along(self.one("Equal", self.wide(tokens, 2), some), 2), 2)
