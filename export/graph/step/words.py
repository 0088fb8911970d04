"""The words that may come next in a free summary, and the best ones of every beam.

Nothing is added up where several entries meet: what is not to be barred is written to a column beyond the words, which
nothing reads, since TensorRT takes no ``ScatterElements`` with a reduction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.settings import Rules

from .logic import LOWEST, Logic

_CHUNKS: Final = 128
"""Parts of the vocabulary whose best words are found side by side: one search through all of it keeps few of a GPU's
multiprocessors busy. The padded vocabulary is a multiple of it."""
_LEAST_CHUNK: Final = 64


LISTS: Final = ("end_tokens", "never", "never_first")
"""The lists of tokens of `engine.settings.Rules`."""


@dataclass(frozen=True)
class Lists:
    """Names of INT64 tensors (n,): those of `LISTS`. A list without tokens is not read."""

    end_tokens: str
    never: str
    never_first: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Names of what many nodes of a step ask for."""

    slots: str
    """INT64 (1,)."""
    beams: str
    target: str
    length: str
    """Tokens so far, INT64 (slots, 1, 1)."""
    beyond: str
    """The last column of the scores, INT64 (1,)."""


def place_of(logic: Logic, scores: str) -> Place:
    """Write them.

    Args:
        logic: Of the graph, which has the tensors of `engine.tensors.STATE`.
        scores: FLOAT (rows, columns).
    """
    return Place(
        slots=logic.size("tokens", 0),
        beams=logic.size("tokens", 1),
        target=logic.size("tokens", 2),
        length=logic.wide("length", 1, 2),
        beyond=logic.one("Sub", logic.size(scores, 1), logic.graph.ints([1])),
    )


def free_words(logic: Logic, scores: str, rules: Rules, lists: Lists, place: Place) -> str:
    """Write the scores of a free summary: FLOAT (rows, columns), minus infinity for what must not come next."""
    positions = logic.range(place.target)
    past = logic.one("Less", positions, place.length)  # (slots, 1, target)
    rows = logic.one("Mul", place.slots, place.beams)

    def flat(index: str) -> str:
        return logic.one("Reshape", index, logic.shape(rows, -1))

    if rules.repetition_penalty != 1:
        index = flat(logic.where(past, "tokens", place.beyond))
        found, penalty = logic.take(scores, index, 1), logic.number(rules.repetition_penalty, np.float32)
        worse, less = logic.one("Mul", found, penalty), logic.one("Div", found, penalty)
        found = logic.where(logic.one("Less", found, logic.number(0, np.float32)), worse, less)
        scores = logic.one("ScatterElements", scores, index, found, axis=1)

    index = _listed(logic, rules, lists, place)
    if rules.longest_ngram:
        repeated = logic.where(_repeats(logic, rules.longest_ngram, past, place), "tokens", place.beyond)
        count = sum(len(getattr(rules, name)) for name in LISTS)
        index = logic.beside(index, count, repeated)
    else:
        index = logic.expand(index, 1, place.beams, 1)
    index = flat(index)
    lowest = logic.one("Expand", logic.number(LOWEST, np.float32), logic.one("Shape", index))
    return logic.one("ScatterElements", scores, index, lowest, axis=1)


def _listed(logic: Logic, rules: Rules, lists: Lists, place: Place) -> str:
    """The tokens of the lists that must not come next, and the last column for the others: INT64 (slots, 1, n)."""
    flags = {"end_tokens": logic.one("Less", place.length, logic.wide("min_length", 1, 2))}
    if rules.never_first:
        flags["never_first"] = logic.one("Equal", place.length, logic.number(rules.before))
    used = [name for name in LISTS if getattr(rules, name)]
    if used == ["end_tokens"]:
        return logic.where(flags["end_tokens"], lists.end_tokens, place.beyond)
    kinds = np.repeat(used, [len(getattr(rules, name)) for name in used])
    within = {name: logic.number(kinds == name, np.bool_) for name in used}
    barred = [logic.all(flags[name], within[name]) if name in flags else within[name] for name in used]
    # Constants: the session joins them when it is loaded.
    tokens = logic.one("Concat", *(getattr(lists, name) for name in used), axis=0)
    return logic.where(logic.either(*barred), tokens, place.beyond)


def _repeats(logic: Logic, longest: int, past: str, place: Place) -> str:
    """Which tokens so far would end a sequence that is there already: BOOL (slots, beams, target)."""
    size = logic.wide("no_repeat_ngram_size", 1, 2)
    same = logic.all(past, logic.one("Greater", size, logic.number(0)))
    for back in range(1, longest):
        # Does what stands `back` places before each token stand there before the next one too?
        at = logic.one("Max", logic.one("Sub", place.length, logic.number(back)), logic.number(0))
        newest = logic.take("tokens", logic.expand(at, 1, place.beams, 1), 2)
        before = logic.delayed("tokens", back, logic.number(-1))
        alike = logic.either(logic.one("Equal", before, newest), logic.one("LessOrEqual", size, logic.number(back)))
        same = logic.all(same, alike)
    return same


def top_words(logic: Logic, scores: str, count: str, columns: int) -> tuple[str, str]:
    """The best words of each row, best first: scores and numbers, (rows, count).

    Args:
        logic: Of the graph.
        scores: FLOAT (rows, columns).
        count: INT64 (1,).
        columns: How many there are.
    """
    size = columns // _CHUNKS
    if columns % _CHUNKS or size < _LEAST_CHUNK:
        values, words = logic.graph.add("TopK", [scores, count], outputs=2, axis=-1)
        return values, words
    parts = logic.graph.reshape(scores, [-1, _CHUNKS, size])
    values, words = logic.graph.add("TopK", [parts, count], outputs=2, axis=-1)
    starts = logic.number(np.arange(0, columns, size)[:, None])
    words = logic.graph.reshape(logic.one("Add", words, starts), [0, -1])
    values, places = logic.graph.add("TopK", [logic.graph.reshape(values, [0, -1]), count], outputs=2, axis=-1)
    return values, logic.take(words, places, 1)
