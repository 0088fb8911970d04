"""One step of the search for all slots: from the scores of the words to the state of the next step.

The search follows ``transformers`` (``GenerationMixin._beam_search``, version 5). Every slot has an age and settings of
its own, so nothing is decided on the host; beams beyond a slot's own number are dead: they are never chosen. A slot
that is done stays as it is. `engine.tensors` says what every tensor is.

Shapes: ``B`` slots, ``K`` beams, ``R = B K`` rows, ``C`` candidates, ``T`` tokens of the longest summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from onnx import TensorProto

from engine.settings import EARLY_STOPPING, Rules
from engine.tensors import NEVER, QUOTED, STATE

from .logic import LOWEST, Logic
from .quoting import quoting_words
from .sampling import Drawing
from .words import Lists, free_words, place_of, top_words

_TENSORS: Final = {tensor.name: tensor for tensor in (*STATE, QUOTED)}


class Advance:
    """Writes the step into a graph that has the tensors of `engine.tensors` under their names."""

    def __init__(self, logic: Logic, rules: Rules, lists: Lists, *, visible: str, columns: int, choices: bool) -> None:
        """Prepare.

        Args:
            logic: Of the graph.
            rules: Of the checkpoint.
            lists: Its tokens.
            visible: The nodes on each beam's path, its newest one among them: BOOL (B, K, nodes).
            columns: Scores of a row: more than there are words.
            choices: Whether slots may quote or draw.
        """
        self.logic, self.rules, self.lists = logic, rules, lists
        self.visible, self.columns, self.choices = visible, columns, choices

    def write(self, logits: str) -> dict[str, str]:
        """Write the step.

        Args:
            logits: FLOAT (R, columns); minus infinity beyond the words.

        Returns:
            The state of the next step, by the names of `engine.tensors.STATE` (and ``quoted``).
        """
        logic, one, number = self.logic, self.logic.one, self.logic.number
        self.place = place = place_of(logic, logits)
        self.count = one("Mul", place.beams, logic.graph.ints([self.rules.candidates_per_beam]))
        self.length, self.own = logic.wide("length", 1), logic.wide("num_beams", 1)  # (B, 1)
        self.alive = one("Less", logic.range(place.beams), self.own)  # (B, K)
        values, words, quoted = self._candidates(logits)
        scores, tokens, parents = self._best(values, words)
        full = one("GreaterOrEqual", one("Add", self.length, number(1)), logic.wide("max_length", 1))
        ends = logic.either(logic.is_in(tokens, self.lists.end_tokens, len(self.rules.end_tokens)), full)
        texts = self._texts(tokens, parents)
        new = self._running(scores, tokens, parents, ends, texts)
        if quoted:
            new["quoted"] = logic.rows_of(quoted, new["parents"], logic.size("quoted", 2))
        del new["parents"]
        new |= self._finished(scores, ends, texts)
        going = logic.no("done")
        improvable = self._improvable(new)
        single = one("Equal", logic.wide("early_stopping", 1), number(EARLY_STOPPING[True]))
        enough = logic.all(single, logic.all_along(logic.either(new["finished"], logic.no(self.alive)), 1))
        over = logic.squeeze(logic.either(full, logic.no(improvable), enough), 1)  # (B,)
        new["improvable"] = logic.squeeze(improvable, 1)
        new["length"] = one("Add", "length", one("Cast", logic.no(over), to=TensorProto.INT64))
        new["done"] = over
        return {name: self._kept(name, tensor, going) for name, tensor in new.items()}

    def _kept(self, name: str, tensor: str, going: str) -> str:
        """What is new in the slots that are not done."""
        further = range(1, len(_TENSORS[name].dims))
        flag = self.logic.wide(going, *further) if further else going
        return self.logic.choose(flag, tensor, name, _TENSORS[name].dtype)

    # -- the words --------------------------------------------------------------------------------------------------

    def _candidates(self, logits: str) -> tuple[str, str, str]:
        """The best words of every beam: scores and words (R, C), and what may be quoted after them."""
        logic, one, place = self.logic, self.logic.one, self.place
        # A greedy search bars and penalizes the scores as they are, as in `transformers`, and needs no probabilities.
        greedy = self._by_row(one("Equal", self.own, logic.number(1)))
        scores = logic.where(greedy, logits, one("LogSoftmax", logits, axis=-1))
        allowed = free_words(logic, scores, self.rules, self.lists, place)
        quoted = ""
        if self.choices:
            only, quoted = quoting_words(logic, scores, self.rules, self.lists, place)
            allowed = logic.where(self._by_row(logic.wide("quoting", 1)), only, allowed)
        values, words = top_words(logic, allowed, self.count, self.columns)
        order = logic.range(self.count)
        certain = logic.where(
            one("Equal", order, logic.number(0)), logic.number(0, np.float32), logic.number(LOWEST, np.float32)
        )

        def forced(flag: str, token: str) -> tuple[str, str]:
            """One token that is certain, (1,) or (R, 1), in the rows of a flag (B, 1)."""
            rows = self._by_row(flag)
            return logic.where(rows, certain, values), logic.where(rows, token, words)

        if self.choices:
            drawing = Drawing(logic, allowed, place)
            values, words = forced(drawing.draws, self._by_row(drawing.token()))
        last = one("Sub", logic.wide("max_length", 1), logic.number(1))
        for token, at in ((self.rules.first_token, logic.number(1)), (self.rules.last_token, last)):
            if token is not None:
                values, words = forced(one("Equal", self.length, at), logic.number([token]))
        return values, words, quoted

    def _by_row(self, tensor: str) -> str:
        """A tensor (B, 1) for each row: (R, 1)."""
        every = self.logic.expand(tensor, 1, self.place.beams)
        return self.logic.graph.reshape(every, [-1, 1])

    def _best(self, values: str, words: str) -> tuple[str, str, str]:
        """The best continuations of every slot, best first: scores, words, and the beams they continue, (B, C)."""
        logic, one, place = self.logic, self.logic.one, self.place
        by_beam = logic.shape(place.slots, place.beams, -1)
        totals = one("Add", one("Reshape", values, by_beam), logic.wide("running", 2))
        totals = logic.where(logic.wide(self.alive, 2), totals, logic.number(LOWEST, np.float32))
        flat = logic.shape(place.slots, -1)
        totals, words = (one("Reshape", x, flat) for x in (totals, words))
        scores, places = logic.graph.add("TopK", [totals, self.count], outputs=2, axis=-1)
        return scores, logic.take(words, places, 1), one("Div", places, self.count)

    # -- the beams --------------------------------------------------------------------------------------------------

    def _texts(self, tokens: str, parents: str) -> str:
        """The texts of the candidates: the parent's, and the new token at the end; (B, C, T)."""
        logic = self.logic
        past = logic.rows_of("tokens", parents, self.place.target)
        at_end = logic.one("Equal", logic.range(self.place.target), self.place.length)
        return logic.where(at_end, logic.wide(tokens, 2), past)

    def _running(self, scores: str, tokens: str, parents: str, ends: str, texts: str) -> dict[str, str]:
        """Those that run on, with the beams they continue as ``parents``."""
        logic = self.logic
        running, picks = logic.graph.add("TopK", [self._less(scores, ends), self.place.beams], outputs=2, axis=-1)
        kept = logic.take(parents, picks, 1)
        return {
            "newest": logic.take(tokens, picks, 1),
            "tokens": logic.rows_of(texts, picks, self.place.target),
            "running": logic.where(self.alive, running, logic.number(NEVER, np.float32)),
            "visible": logic.rows_of(self.visible, kept, logic.size("visible", 2)),
            "parents": kept,
        }

    def _finished(self, scores: str, ends: str, texts: str) -> dict[str, str]:
        """Those that are finished, old and new."""
        logic, one = self.logic, self.logic.one
        just = logic.all(ends, one("Less", logic.range(self.count), self.own))
        penalized = self._less(one("Div", scores, logic.take("spans", self.length, 1)), logic.no(just))
        merged = self._merged("best_scores", penalized)
        best, places = logic.graph.add("TopK", [merged, self.place.beams], outputs=2, axis=-1)
        # `Or` and `And` of flags that are gathered as numbers.
        finished = logic.flag(logic.take(logic.integer(self._merged("finished", just)), places, 1))
        return {
            "best_tokens": logic.rows_of(self._merged("best_tokens", texts), places, self.place.target),
            "best_scores": logic.where(self.alive, best, logic.number(NEVER, np.float32)),
            "finished": logic.all(finished, self.alive),
        }

    def _merged(self, finished: str, candidates: str) -> str:
        """What (B, K, ...) and (B, C, ...) hold, one after the other; all parts have the size K."""
        count = self.rules.candidates_per_beam
        sizes = self.logic.shape(*[self.place.beams] * count)
        parts = self.logic.graph.add("Split", [candidates, sizes], outputs=count, axis=1)
        return self.logic.joined([finished, *parts], 1)

    def _less(self, scores: str, flags: str) -> str:
        """Scores that cannot be chosen where a flag is set, and keep their order."""
        never = self.logic.one("Mul", self.logic.decimal(flags), self.logic.number(NEVER, np.float32))
        return self.logic.one("Add", scores, never)

    def _improvable(self, new: Mapping[str, str]) -> str:
        """Whether a running beam may still become better than a finished one: BOOL (B, 1)."""
        logic, one = self.logic, self.logic.one
        horizon = logic.wide("horizon", 1)
        span = logic.where(one("Greater", horizon, logic.number(0)), horizon, self.length)
        possible = one("Div", logic.slice(new["running"], 1, 0, 1), logic.take("spans", span, 1))
        held = logic.where(self.alive, new["best_scores"], logic.number(np.inf, np.float32))
        least = logic.graph.reduce("ReduceMin", held, 1)
        worst = logic.where(new["finished"], least, logic.number(NEVER, np.float32))
        better = logic.any_along(logic.all(one("Greater", possible, worst), self.alive), 1)
        return logic.all(logic.wide("improvable", 1), better)
