"""``NextWords``: the best words of every beam, after the rules of a free summary or of one that quotes, or a sample.

Three things that a request chooses between stand in one operator, so that a session with native kernels does only what
the request needs, in one pass; any other session has a branch for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from onnx import TensorProto

from .beam_scores import barred
from .branches import either, single
from .graph import Graph
from .quotes import quoting

INPUTS: Final = (
    "words",
    "history",
    "state",
    "source",
    "ends",
    "sampling",
    "min_length",
    "max_length",
    "candidates",
    "spaced",
    "unspaced",
    "end_tokens",
    "never",
    "never_first",
)
OUTPUTS: Final = ("values", "tokens", "after")
ATTRIBUTES: Final = ("first", "ngram")
LISTS: Final = ("never", "never_first")
"""Inputs that may be empty."""
_LEAST: Final = -1e30


def next_words(graph: Graph, *, first: int, ngram: int, lists: Sequence[str] = LISTS) -> None:
    """The body of the function; ``lists`` are those of `LISTS` that have tokens.

    ``words`` FLOAT (R, V), scores; ``history`` INT32 (R, t), the tokens so far; ``state`` INT32 (R, L), of the step
    before; ``source`` INT32 (B, L) and ``ends`` INT32 (B, L), or (B, 1) for a free summary; ``sampling`` FLOAT
    (B, 2 + n), temperature, top_p and a uniform number for each step, or (B, 1) for a search; ``min_length``,
    ``max_length`` and ``candidates`` INT64 (1); ``spaced`` and ``unspaced`` INT32 (V), each token with and without a
    space before it; ``end_tokens``, ``never`` and ``never_first`` INT32 (n) -> ``values`` FLOAT and ``tokens`` INT32
    (R, candidates), best first, and the state ``after`` the step. A native kernel reads all it needs from ``history``;
    its state is empty. Attributes: ``first``, how many tokens stand before the text; ``ngram``, 0 for none.
    """
    words, _ = either(
        graph,
        single(graph, "ends"),
        lambda g: (barred(g, first, ngram, lists), g.one("Identity", "state")),
        lambda g: quoting(g, first),
        kinds=(TensorProto.FLOAT, TensorProto.INT32),
        outputs=("allowed", OUTPUTS[2]),
    )
    either(
        graph,
        single(graph, "sampling"),
        lambda g: _best(g, words),
        lambda g: _sampled(g, words),
        kinds=(TensorProto.FLOAT, TensorProto.INT32),
        outputs=OUTPUTS[:2],
    )


def _best(graph: Graph, words: str) -> tuple[str, str]:
    values, tokens = graph.add("TopK", [words, "candidates"], outputs=2, axis=-1)
    return values, graph.one("Cast", tokens, to=TensorProto.INT32)


def _sampled(graph: Graph, words: str) -> tuple[str, str]:
    """One word by its probability; the source of the nucleus is arXiv:1904.09751.

    It takes the place of every candidate, with the scores of a token that is certain.
    """
    constant = graph.initializers.constant

    def column(start: str) -> str:
        """A column of ``sampling``: (B, 1)."""
        return graph.one("Slice", "sampling", start, graph.one("Add", start, graph.ints([1])), graph.ints([1]))

    divided = graph.one("Div", words, column(graph.ints([0])))
    # A row of nothing but minus infinity has no probabilities.
    odds = graph.one("Softmax", graph.one("Max", divided, constant(_LEAST, np.float32)), axis=-1)
    every = graph.dimension("words", 1)
    odds, order = graph.add("TopK", [odds, every], outputs=2, axis=-1)
    axis = constant(1, np.int32)
    before = graph.one("CumSum", odds, axis, exclusive=1)
    zero = constant(0.0, np.float32)
    kept = graph.one("Where", graph.one("Less", before, column(graph.ints([1]))), odds, zero)
    total = graph.one("ReduceSum", kept, graph.ints([1]), keepdims=1)
    target = graph.one("Mul", total, column(graph.one("Add", graph.dimension("history", 1), graph.ints([1]))))
    likely = graph.one("Greater", kept, zero)
    passed = graph.one("And", likely, graph.one("LessOrEqual", graph.one("CumSum", kept, axis), target))

    def counted(flags: str) -> str:
        return graph.one("ReduceSum", graph.one("Cast", flags, to=TensorProto.INT64), graph.ints([1]), keepdims=1)

    place = graph.one("Min", counted(passed), graph.one("Sub", counted(likely), graph.ints([1])))
    token = graph.one("Cast", graph.one("GatherElements", order, place, axis=1), to=TensorProto.INT32)
    shape = graph.one("Concat", graph.dimension("history", 0), "candidates", axis=0)
    numbers = [constant(x, np.int64) for x in (0, 1)]
    places = graph.one("Range", numbers[0], graph.one("Squeeze", "candidates", graph.ints([0])), numbers[1])
    lowest = constant(-np.inf, np.float32)
    certain = graph.one("Where", graph.one("Equal", places, numbers[0]), zero, lowest)
    return graph.one("Expand", certain, shape), graph.one("Expand", token, shape)
