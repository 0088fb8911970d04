"""The scores of the words in one step of a beam search: what the rules of a checkpoint bar, and what they penalize.

The rules come in the order of ``transformers`` (``GenerationMixin._get_logits_processor``): the penalty first, then
what is barred, which may come in any order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .beam_state import Rules, Settings
from .graph import Graph

_END = np.iinfo(np.int64).max


def scores_of_words(graph: Graph, logits: str, rules: Rules, settings: Settings, free: str) -> str:
    """Write the scores, FLOAT (R, V): log probabilities, lower for the tokens that are there already.

    Args:
        graph: The body of the loop, which has the tokens so far as ``history``, INT32 (R, t).
        logits: FLOAT (R, V).
        rules: Of the checkpoint.
        settings: Of the request.
        free: Whether the summary is free, BOOL (1,): one that quotes knows no penalty.
    """
    scores = graph.one("LogSoftmax", logits, axis=-1)
    if rules.repetition_penalty != 1:
        # A greedy search has no probabilities, and the penalty changes the scores as they are.
        greedy = graph.one("Equal", settings.num_beams, graph.ints([1]))
        lower = _penalized(graph, graph.one("Where", greedy, logits, scores), rules.repetition_penalty)
        scores = graph.one("Where", free, lower, scores)
    return scores


def _penalized(graph: Graph, scores: str, penalty: float) -> str:
    """Lower the scores of the tokens that are there already."""
    zero, factor = (graph.initializers.constant(x, np.float32) for x in (0.0, penalty))
    found = graph.one("GatherElements", scores, "history", axis=1)
    higher, lower = graph.one("Mul", found, factor), graph.one("Div", found, factor)
    changed = graph.one("Where", graph.one("Less", found, zero), higher, lower)
    # A token that is there twice is written twice, with the same score.
    return graph.one("ScatterElements", scores, "history", changed, axis=1)


def barred(graph: Graph, first: int, ngram: int, lists: Sequence[str]) -> str:
    """Write the scores of a free summary, FLOAT (R, V): minus infinity for the tokens that must not come next.

    Args:
        graph: The body of ``NextWords``, which has the inputs of `next_words`.
        first: How many tokens stand before the text.
        ngram: No sequence of so many tokens occurs twice; 0 allows all.
        lists: Those of `next_words.LISTS` that have tokens.
    """
    lowest, zero = (graph.initializers.constant(x, np.float32) for x in (-np.inf, 0.0))
    length = graph.dimension("history", 1)
    tokens: list[str] = []
    updates: list[str] = []

    def bar(some: str, update: str) -> None:
        """Add ``update``, FLOAT (1,) or (), to the scores of some tokens, INT32 (n,)."""
        shape = graph.one("Concat", graph.dimension("history", 0), graph.one("Shape", some), axis=0)
        tokens.append(graph.one("Expand", some, shape))
        updates.append(graph.one("Expand", update, shape))

    short = graph.one("Less", length, "min_length")
    bar("end_tokens", graph.one("Where", short, lowest, zero))
    if "never" in lists:
        bar("never", lowest)
    if "never_first" in lists:
        begins = graph.one("Equal", length, graph.ints([first]))
        bar("never_first", graph.one("Where", begins, lowest, zero))
    if ngram:
        repeated, update = _repeats(graph, length, ngram)
        tokens.append(repeated)
        updates.append(update)
    index, update = (graph.one("Concat", *parts, axis=1) if len(parts) > 1 else parts[0] for parts in (tokens, updates))
    return graph.one("ScatterElements", "words", index, update, axis=1, reduction="add")


def _repeats(graph: Graph, length: str, size: int) -> tuple[str, str]:
    """For each sequence of ``size`` tokens so far its last token, and minus infinity where it would be repeated."""
    lowest, zero = (graph.initializers.constant(x, np.float32) for x in (-np.inf, 0.0))

    def columns(start: str, end: str) -> str:
        """Tokens so far from one position to another: INT32 (R, end - start)."""
        return graph.one("Slice", "history", start, end, graph.ints([1]))

    windows = graph.one("Max", graph.one("Sub", length, graph.ints([size - 1])), graph.ints([0]))
    repeats = ""
    for i in range(size - 1):
        window = columns(graph.ints([i]), graph.one("Add", windows, graph.ints([i])))
        newest = columns(graph.ints([i - size + 1]), graph.ints([i - size + 2 or _END]))
        same = graph.one("Equal", window, newest)
        repeats = graph.one("And", repeats, same) if repeats else same
    ends = columns(graph.ints([size - 1]), graph.one("Add", windows, graph.ints([size - 1])))
    if not repeats:
        return ends, graph.one("Expand", lowest, graph.one("Shape", ends))
    return ends, graph.one("Where", repeats, lowest, zero)
