"""A word that is drawn by its probability, from the nucleus (arXiv:1904.09751).

The words are not sorted: TensorRT sorts at most 3,840. A drawn number falls on the word before which, best first, just
as much probability stands as the number allows. So the score of that word is searched for, by the probability of all
words with greater scores, which is compared for many scores at a time. Words of equal scores come in their order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .logic import Logic
from .words import Place

_DEEPEST: Final = 104.0
"""Below the best score by more than this, a word's probability is 0 in fp32."""
_PARTS: Final = 32
_PASSES: Final = 6
"""A range of `_DEEPEST` in so many parts, so many times, is divided as finely as fp32 is."""


class Drawing:
    """Draws a word for each slot, from the scores of its first beam."""

    def __init__(self, logic: Logic, scores: str, place: Place) -> None:
        """Write what is asked for twice.

        Args:
            logic: Of the graph, which has ``sampling`` FLOAT (slots, draws).
            scores: FLOAT (rows, columns).
            place: Of the step.
        """
        self.logic, self.place = logic, place
        one = logic.one
        self.temperature = logic.slice("sampling", 1, 0, 1)  # (slots, 1)
        self.draws = one("Greater", self.temperature, self._float(0))
        divisor = logic.where(self.draws, self.temperature, self._float(1))
        beams = one("Reshape", scores, logic.shape(place.slots, place.beams, -1))
        first = logic.squeeze(logic.slice(beams, 1, 0, 1), 1)  # (slots, columns)
        best = logic.graph.reduce("ReduceMax", first, 1)
        depth = one("Div", one("Sub", first, best), divisor)
        self.depth = one("Max", depth, self._float(-_DEEPEST))
        self.odds = one("Exp", self.depth)

    def token(self) -> str:
        """Write the words: INT64 (slots, 1)."""
        logic, one = self.logic, self.logic.one
        every = self._sum(self.odds)
        # The nucleus: as many words as it takes to hold that much.
        wanted = one("Mul", every, logic.slice("sampling", 1, 1, 2))
        least, before = self._score_at(wanted, "Less")
        share = one("Exp", least)
        count = one("Ceil", one("Div", one("Sub", wanted, before), share))
        alike = self._sum(logic.decimal(one("Equal", self.depth, least)))
        kept = one("Add", before, one("Mul", share, one("Min", count, alike)))
        at = logic.wide(one("Add", "length", logic.number(1)), 1)
        target = one("Mul", kept, logic.take("sampling", at, 1))
        # The word on which the number falls.
        score, before = self._score_at(target, "LessOrEqual")
        equal = one("Equal", self.depth, score)
        alike = self._sum(logic.decimal(equal))
        skipped = one("Floor", one("Div", one("Sub", target, before), one("Exp", score)))
        skipped = one("Max", one("Min", skipped, one("Sub", alike, self._float(1))), self._float(0))
        order = one("CumSum", logic.decimal(equal), logic.number(1, np.int32))
        wanted = logic.all(equal, one("Equal", order, one("Add", skipped, self._float(1))))
        return one("ArgMax", logic.decimal(wanted), axis=1, keepdims=1)

    def _score_at(self, target: str, compare: str) -> tuple[str, str]:
        """The least score whose better ones have less than ``target`` together, and what they have: (slots, 1) each.

        Args:
            target: FLOAT (slots, 1).
            compare: ``Less``, or ``LessOrEqual`` where they may have as much.
        """
        logic, one = self.logic, self.logic.one
        high, low = logic.expand(self._float([[0]]), self.place.slots, 1), self._float([[-_DEEPEST - 1]])
        steps = self._float(np.linspace(0, 1, _PARTS + 1)[None, :])
        for _ in range(_PASSES):
            levels = one("Add", low, one("Mul", one("Sub", high, low), steps))  # (slots, parts + 1)
            allowed = one(compare, self._above(levels), target)
            # The highest level is allowed as it is: rounding must not take it away.
            high = logic.graph.reduce("ReduceMin", logic.where(allowed, levels, high), 1)
            low = logic.graph.reduce("ReduceMax", logic.where(allowed, low, levels), 1)
        within = one("LessOrEqual", self.depth, high)
        score = logic.graph.reduce("ReduceMax", logic.where(within, self.depth, self._float(-_DEEPEST)), 1)
        return score, self._above(score)

    def _above(self, levels: str) -> str:
        """The odds of all words with scores above each level (slots, n): (slots, n)."""
        logic = self.logic
        above = logic.one("Greater", logic.wide(self.depth, 1), logic.wide(levels, 2))
        counted = logic.where(above, logic.wide(self.odds, 1), self._float(0))
        return logic.graph.reduce("ReduceSum", counted, 2, keep=False)

    def _sum(self, tensor: str) -> str:
        return self.logic.graph.reduce("ReduceSum", tensor, 1)

    def _float(self, value: object) -> str:
        return self.logic.number(value, np.float32)
