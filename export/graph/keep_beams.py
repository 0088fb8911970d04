"""``KeepBeams``: of the words that may come next, which beams run on, and which end.

The whole bookkeeping of a step of the search stands in one operator: eighty small nodes that a native kernel does in
one pass. The same nodes end the search in the graph around the loop (`choose` and `finish`).

Shapes: as in `beam_state`, ``N`` places in the tree of a search, ``M`` the most tokens of a summary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import TensorProto

from .beam_state import Candidates, Finished, Rules
from .graph import Graph

NEVER: Final = -1e9
"""The score of a candidate that cannot be chosen, as in ``transformers``."""
SHARED: Final = (
    "max_length",
    "length_penalty",
    "end_tokens",
    "batch",
    "beams",
    "candidates",
    "first_rows",
    "first_merged",
    "within",
)
"""Inputs that are the same in every step."""
INPUTS: Final = (
    "values",
    "tokens",
    "history",
    "running",
    "seen",
    "sequences",
    "scores",
    "finished",
    "improvable",
    *SHARED,
)
OUTPUTS: Final = (
    "history_after",
    "running_after",
    "ancestors_after",
    "sequences_after",
    "scores_after",
    "finished_after",
    "improvable_after",
    "rows",
    "going",
)
ATTRIBUTES: Final = ("early", "pad_token")
EARLY: Final = {False: 0, True: 1, "never": 2}
"""`Rules.early_stopping` as an attribute."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Names of what every step of a search has: tensors INT64 (1,) unless another form is said."""

    max_length: str
    length_penalty: str
    """FLOAT (1,)."""
    end_tokens: str
    """INT32 (n,)."""
    batch: str
    beams: str
    candidates: str
    first_rows: str
    """The first row of each article, (B, 1)."""
    first_merged: str
    """The first of the K + C places of each article, where finished beams stand before candidates: (B, 1)."""
    within: str
    """Which candidates may finish: BOOL (C,)."""


def keep_beams(graph: Graph, rules: Rules) -> None:
    """The body of the function.

    ``values`` FLOAT and ``tokens`` INT32 (R, C), the best words of every beam; ``history`` INT32 (R, t); ``running``
    FLOAT (B, K), the scores of the beams; ``seen`` FLOAT (B, K, N), the bias of each one's ancestors; ``sequences``
    INT32 (B, K, M), ``scores`` FLOAT (B, K) and ``finished`` BOOL (B, K), the summaries that are done; ``improvable``
    BOOL (B, 1), whether there may be better ones; the rest as in `Shared` -> the same after the step, with ``rows``
    INT64 (R), the row that each beam continues, and ``going`` BOOL (), whether there is another step. Attributes:
    ``early``, of `EARLY`, and ``pad_token``.
    """
    shared = Shared(**{name: name for name in SHARED})
    chosen = choose(graph, shared, rules, "running", "tokens", "values")
    # A candidate that has just finished does not run on.
    scores = graph.one("Add", chosen.scores, _times_never(graph, chosen.ends))
    running, picks = graph.add("TopK", [scores, "beams"], outputs=[OUTPUTS[1], "picks"], axis=-1)
    picked = graph.one("GatherElements", chosen.rows, picks, axis=1)
    rows = graph.one("Reshape", picked, graph.ints([-1]), output="rows")
    token = graph.reshape(graph.one("GatherElements", chosen.tokens, picks, axis=1), [-1, 1])
    graph.one("Concat", graph.one("Gather", "history", rows), token, axis=1, output=OUTPUTS[0])
    by_row = graph.one("Concat", graph.dimension("history", 0), graph.ints([-1]), axis=0)
    by_beam = graph.one("Concat", "batch", "beams", graph.ints([-1]), axis=0)
    flat = graph.one("Reshape", "seen", by_row)
    graph.one("Reshape", graph.one("Gather", flat, rows), by_beam, output=OUTPUTS[2])
    before = Finished("sequences", "scores", "finished", "improvable")
    after = finish(graph, shared, rules, "history", chosen, before)
    improvable = _can_improve(graph, rules, running, after)
    going = improvable
    if rules.early_stopping is True:
        going = graph.one("And", going, graph.one("Not", _all(graph, after.finished)))
    highest = graph.one("ReduceMax", graph.one("Cast", going, to=TensorProto.INT32), keepdims=0)
    graph.one("Cast", highest, to=TensorProto.BOOL, output="going")
    results = (after.sequences, after.scores, after.finished, improvable)
    for name, output in zip(results, OUTPUTS[3:7], strict=True):
        graph.one("Identity", name, output=output)


def choose(graph: Graph, shared: Shared, rules: Rules, running: str, tokens: str, values: str) -> Candidates:
    """The best ``C`` continuations of every article.

    Args:
        graph: Where the nodes go.
        shared: What every step has.
        rules: Of the checkpoint.
        running: Scores of the beams, FLOAT (B, K).
        tokens: The best tokens of every beam, INT32 (R, C).
        values: Their log probabilities, FLOAT (R, C).
    """
    shape = graph.one("Concat", shared.batch, shared.beams, shared.candidates, axis=0)
    by_article = graph.one("Concat", shared.batch, graph.ints([-1]), axis=0)
    values, tokens = (graph.one("Reshape", x, shape) for x in (values, tokens))
    totals = graph.one("Add", values, graph.one("Unsqueeze", running, graph.ints([2])))
    flat_totals, flat_tokens = (graph.one("Reshape", x, by_article) for x in (totals, tokens))
    scores, places = graph.add("TopK", [flat_totals, shared.candidates], outputs=2, axis=-1)
    token = graph.one("GatherElements", flat_tokens, places, axis=1)
    rows = graph.one("Add", graph.one("Div", places, shared.candidates), shared.first_rows)
    return Candidates(scores, token, rows, _is_end(graph, shared, rules, token))


def finish(graph: Graph, shared: Shared, rules: Rules, history: str, chosen: Candidates, before: Finished) -> Finished:
    """Merge the candidates that end into the finished beams, and keep the best."""
    length = graph.dimension(history, 1)
    just = graph.one("And", chosen.ends, shared.within)
    spans = graph.one("Cast", length, to=TensorProto.FLOAT)
    scores = graph.one("Div", chosen.scores, graph.one("Pow", spans, shared.length_penalty))
    if rules.early_stopping is True:
        scores = graph.one("Add", scores, _times_never(graph, _all(graph, before.finished)))
    scores = graph.one("Add", scores, _times_never(graph, graph.one("Not", before.improvable)))
    scores = graph.one("Add", scores, _times_never(graph, graph.one("Not", just)))
    # The candidates' tokens, padded: (B, C, M).
    past = graph.one("Gather", history, graph.reshape(chosen.rows, [-1]))
    padded = graph.one("Concat", past, graph.reshape(chosen.tokens, [-1, 1]), axis=1)
    missing = graph.one("Sub", graph.one("Sub", shared.max_length, length), graph.ints([1]))
    pads = graph.one("Concat", graph.ints([0, 0, 0]), missing, axis=0)
    padded = graph.one("Pad", padded, pads, graph.initializers.constant(rules.pad_token, np.int32))
    shape = graph.one("Concat", shared.batch, shared.candidates, graph.ints([-1]), axis=0)
    tokens = graph.one("Concat", before.sequences, graph.one("Reshape", padded, shape), axis=1)
    merged = graph.one("Concat", before.scores, scores, axis=1)
    best, places = graph.add("TopK", [merged, shared.beams], outputs=2, axis=-1)
    both = graph.one("Concat", before.finished, just, axis=1)
    finished = graph.one("GatherElements", both, places, axis=1)
    whole = graph.one("Concat", graph.ints([-1]), shared.max_length, axis=0)
    rows = graph.one("Add", places, shared.first_merged)
    sequences = graph.one("Gather", graph.one("Reshape", tokens, whole), rows)
    return Finished(sequences, best, finished, before.improvable)


def _can_improve(graph: Graph, rules: Rules, running: str, after: Finished) -> str:
    """Whether a running beam may still become better than a finished one: BOOL (B, 1)."""
    length = graph.dimension("history", 1)
    if rules.early_stopping == "never":
        longest = graph.one("Sub", "max_length", graph.ints([1]))
        positive = graph.one("Greater", "length_penalty", graph.initializers.constant(0.0, np.float32))
        length = graph.one("Where", positive, longest, length)
    span = graph.one("Pow", graph.one("Cast", length, to=TensorProto.FLOAT), "length_penalty")
    head = graph.one("Slice", running, graph.ints([0]), graph.ints([1]), graph.ints([1]))
    possible = graph.one("Div", head, span)
    worst = graph.one("ReduceMin", after.scores, axes=[1], keepdims=1)
    worst = graph.one("Where", after.finished, worst, graph.initializers.constant(NEVER, np.float32))  # (B, K)
    lowest = graph.one("ReduceMin", worst, axes=[1], keepdims=1)
    return graph.one("And", after.improvable, graph.one("Greater", possible, lowest))


def _is_end(graph: Graph, shared: Shared, rules: Rules, token: str) -> str:
    """Which tokens end a summary: BOOL, of the shape of ``token``."""
    if len(rules.end_tokens) == 1:
        return graph.one("Equal", token, shared.end_tokens)
    same = graph.one("Equal", graph.one("Unsqueeze", token, graph.ints([-1])), shared.end_tokens)
    found = graph.one("ReduceMax", graph.one("Cast", same, to=TensorProto.INT32), axes=[-1], keepdims=0)
    return graph.one("Cast", found, to=TensorProto.BOOL)


def _times_never(graph: Graph, flags: str) -> str:
    """`NEVER` where a flag is set, else 0."""
    never = graph.initializers.constant(NEVER, np.float32)
    return graph.one("Mul", graph.one("Cast", flags, to=TensorProto.FLOAT), never)


def _all(graph: Graph, flags: str) -> str:
    """Whether all flags (B, K) of an article are set: BOOL (B, 1)."""
    lowest = graph.one("ReduceMin", graph.one("Cast", flags, to=TensorProto.INT32), axes=[1], keepdims=1)
    return graph.one("Cast", lowest, to=TensorProto.BOOL)
