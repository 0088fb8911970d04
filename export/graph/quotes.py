"""A search that may only quote: every token continues a sentence of the article, or begins one, or ends the summary.

The rules, of which `export.parity.quotes` is the plain form:

* After the tokens that every summary has, a sentence of the article begins, and after a sentence another one or the
  end. A sentence begins only if it and the end still fit, if no sentence with the same tokens has been written, and
  never if it has a token that no summary may have.
* The first token of a sentence has the form without a space before it at the start of a summary, and the form with one
  elsewhere, where the vocabulary has such.
* Where the tokens so far are a whole sentence and the beginning of a longer one, the next token continues the longer
  one if it can. The shorter one then counts as written.
* The end comes after a sentence, when the summary is long enough or nothing more can come. If no sentence fits at the
  start, the first one begins nevertheless, and is cut.

What is not barred here: repeated sequences of tokens, and tokens that no summary begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from .graph import Graph

_MAY_FOLLOW, _USED = 1, 2


def quotable(graph: Graph, ids: str, ends: str, barred: Sequence[int]) -> str:
    """Take the sentences with a barred token out of ``ends`` INT32 (B, L): their positions get -1."""
    length = graph.one("Cast", graph.dimension(ids, 1), to=TensorProto.INT32)
    one = graph.initializers.constant([1], np.int32)
    minus, half = graph.initializers.constant(-1, np.int32), graph.initializers.constant(0.5, np.float32)
    tokens = graph.initializers.constant([[list(barred)]], np.int32)
    same = graph.one("Equal", graph.one("Unsqueeze", ids, graph.ints([2])), tokens)
    hit = graph.one("ReduceMax", graph.one("Cast", same, to=TensorProto.FLOAT), axes=[2], keepdims=0)
    # Places of their own behind all positions for the sentence that was not read to its end, and for none.
    outside = graph.one("Less", ends, graph.initializers.constant(0, np.int32))
    place = graph.one("Where", outside, graph.one("Add", length, one), graph.one("Min", ends, length))
    shape = graph.one("Add", graph.one("Shape", ids), graph.ints([0, 2]))
    marks = graph.one("ScatterElements", graph.one("ConstantOfShape", shape), place, hit, axis=1, reduction="add")
    bad = graph.one("Greater", graph.one("GatherElements", marks, place, axis=1), half)
    return graph.one("Where", bad, minus, ends)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Names of tensors (R, L), one row for each beam: the source of its article."""

    source: str
    ends: str
    starts: str
    """BOOL: where a sentence begins..."""
    lasts: str
    """...and where its last token is."""


def quoting(graph: Graph, first: int) -> tuple[str, str]:
    """Write the scores of a summary that quotes, FLOAT (R, V), and the state INT32 (R, L) for the next step.

    In the state a position is 1 where its token may come next, and 2 at the last token of a sentence that is used.

    Args:
        graph: The body of ``NextWords``, which has the inputs of `next_words`.
        first: How many tokens stand before the text.
    """
    constant = graph.initializers.constant
    length = graph.dimension("history", 1)
    row = _row(graph)
    at_start = graph.one("Equal", length, graph.ints([first]))  # (1,)

    # The newest token is one of those that could come.
    newest = graph.one("Slice", "history", graph.ints([-1]), graph.ints([np.iinfo(np.int64).max]), graph.ints([1]))
    before = graph.one("Equal", length, graph.ints([first + 1]))
    could = graph.one("Equal", "state", constant(_MAY_FOLLOW, np.int32))
    matched = graph.one("And", could, graph.one("Equal", _forms(graph, row, before), newest))
    continues = _any(graph, graph.one("And", matched, graph.one("Not", row.starts)))
    position = graph.one("And", matched, graph.one("Not", graph.one("And", row.starts, continues)))
    ended = graph.one("And", position, row.lasts)
    used = graph.one("Or", graph.one("Equal", "state", constant(_USED, np.int32)), ended)
    boundary = graph.one("Or", _any(graph, ended), at_start)  # (R, 1)

    # What may come now.
    inside = graph.one("Cast", graph.one("And", position, graph.one("Not", row.lasts)), to=TensorProto.INT32)
    following = graph.one("Cast", _moved(graph, inside, 1, 0), to=TensorProto.BOOL)
    begins = graph.one("And", _fitting(graph, row, length, used), boundary)
    none = graph.one("And", at_start, graph.one("Not", _any(graph, begins)))
    begins = graph.one("Or", begins, graph.one("And", none, _first_only(graph, row)))
    allowed = graph.one("Or", following, begins)
    nothing = graph.one("Not", _any(graph, allowed))
    enough = graph.one("Or", graph.one("GreaterOrEqual", length, "min_length"), nothing)
    enough = graph.one("And", enough, graph.one("Or", graph.one("Not", at_start), nothing))
    may_end = graph.one("And", boundary, enough)  # (R, 1)

    numbers = [constant(number, np.int32) for number in (0, _MAY_FOLLOW, _USED)]
    after = graph.one("Where", allowed, numbers[1], graph.one("Where", used, numbers[2], numbers[0]))
    ends_shape = graph.one("Concat", graph.dimension("history", 0), graph.one("Shape", "end_tokens"), axis=0)
    tokens = graph.one("Concat", _forms(graph, row, at_start), graph.one("Expand", "end_tokens", ends_shape), axis=1)
    flags = graph.one("Concat", allowed, graph.one("Expand", may_end, ends_shape), axis=1)
    counts = graph.one("ConstantOfShape", graph.one("Shape", "words"))
    flags = graph.one("Cast", flags, to=TensorProto.FLOAT)
    counts = graph.one("ScatterElements", counts, tokens, flags, axis=1, reduction="add")
    open_words = graph.one("Greater", counts, constant(0.5, np.float32))
    return graph.one("Where", open_words, "words", constant(-np.inf, np.float32)), after


def _row(graph: Graph) -> _Row:
    beams = graph.one("Div", graph.dimension("history", 0), graph.dimension("source", 0))

    def repeated(tensor: str) -> str:
        """A tensor (B, L) once for every beam: (R, L)."""
        shape = graph.one("Concat", graph.ints([1]), beams, graph.ints([1]), axis=0)
        every = graph.one("Expand", graph.one("Unsqueeze", tensor, graph.ints([1])), shape)
        return graph.one("Reshape", every, graph.one("Concat", graph.ints([-1]), graph.dimension(tensor, 1), axis=0))

    source, ends = repeated("source"), repeated("ends")
    minus = graph.initializers.constant(-1, np.int32)
    known = graph.one("Not", graph.one("Equal", ends, minus))
    sides = [graph.one("Not", graph.one("Equal", ends, _moved(graph, ends, step, -1))) for step in (1, -1)]
    starts, lasts = (graph.one("And", known, side) for side in sides)
    return _Row(source=source, ends=ends, starts=starts, lasts=lasts)


def _forms(graph: Graph, row: _Row, at_start: str) -> str:
    """The token that each position brings to a summary: (R, L)."""
    table = graph.one("Where", at_start, "unspaced", "spaced")
    return graph.one("Where", row.starts, graph.one("Gather", table, row.source), row.source)


def _fitting(graph: Graph, row: _Row, length: str, used: str) -> str:
    """The starts of the sentences that are not used and still fit, BOOL (R, L)."""
    last = graph.one("Sub", graph.dimension(row.ends, 1), graph.ints([1]))
    place = graph.one("Min", graph.one("Max", graph.one("Cast", row.ends, to=TensorProto.INT64), graph.ints([0])), last)
    taken = graph.one("GatherElements", graph.one("Cast", used, to=TensorProto.INT32), place, axis=1)
    zero, one = (graph.initializers.constant(x, np.int64) for x in (0, 1))
    order = graph.one("Range", zero, graph.one("Squeeze", graph.dimension(row.ends, 1), graph.ints([0])), one)
    # ends - position + 1 tokens and the end, after `length` others.
    total = graph.one("Add", graph.one("Sub", graph.one("Cast", row.ends, to=TensorProto.INT64), order), length)
    fits = graph.one("Less", graph.one("Add", total, one), "max_length")
    free = graph.one("And", fits, graph.one("Equal", taken, graph.initializers.constant(0, np.int32)))
    return graph.one("And", row.starts, free)


def _first_only(graph: Graph, row: _Row) -> str:
    """The start of the first sentence, BOOL (R, L)."""
    starts = graph.one("Cast", row.starts, to=TensorProto.INT32)
    sum_so_far = graph.one("CumSum", starts, graph.initializers.constant(1, np.int32))
    return graph.one("And", row.starts, graph.one("Equal", sum_so_far, graph.initializers.constant(1, np.int32)))


def _moved(graph: Graph, tensor: str, step: int, filling: int) -> str:
    """``tensor`` INT32 (R, L), moved by one position to the right (1) or the left (-1)."""
    pads = graph.ints([0, max(step, 0), 0, max(-step, 0)])
    padded = graph.one("Pad", tensor, pads, graph.initializers.constant(filling, np.int32))
    size = graph.dimension(tensor, 1)
    start = graph.ints([0 if step > 0 else 1])
    return graph.one("Slice", padded, start, graph.one("Add", start, size), graph.ints([1]))


def _any(graph: Graph, flags: str) -> str:
    """Whether any flag of a row is set: BOOL (R, 1)."""
    highest = graph.one("ReduceMax", graph.one("Cast", flags, to=TensorProto.INT32), axes=[1], keepdims=1)
    return graph.one("Cast", highest, to=TensorProto.BOOL)
