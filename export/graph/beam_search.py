"""Beam search in standard ONNX operators: the body of a ``Loop`` is one step of the decoder and of the search.

The search follows ``transformers`` (``GenerationMixin._beam_search``, version 4.57) tensor by tensor: the candidates,
the scores and the end of the search are the same. Two things are computed differently, with the same result:

* A beam is a path in a tree. The keys and values of every step stay where they were written, for all beams of an
  article together, and each beam has a mask of its ancestors. When a beam continues another one, that small mask is
  reordered, not the caches.
* Only the best candidates of each beam are compared across the beams of an article, so the whole vocabulary
  is read less often.

A request may also ask for quotes only (`quotes`), or for a sample: the word that is drawn takes the place of all
candidates, as the forced first token does (`next_words`).

Shapes: ``B`` articles, ``K`` beams, ``R = B * K`` rows, ``C`` candidates, ``t`` tokens so far, ``V`` words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .beam_scores import scores_of_words
from .beam_state import Candidates, Decoder, Finished, Rules, Settings, Source, Step
from .branches import either, single
from .graph import DOMAIN, Graph, value
from .quotes import quotable

NEVER: Final = -1e9
"""The score of a candidate that cannot be chosen, as in ``transformers``."""
_HIDDEN: Final = -1e30
"""The bias of an attention score whose position a beam must not see."""
_END: Final = np.iinfo(np.int64).max


class BeamSearch:
    """Writes the search into ``outer``; the body of the loop is ``inner``."""

    def __init__(
        self, outer: Graph, inner: Graph, rules: Rules, settings: Settings, source: Source, batch: str
    ) -> None:
        self.outer, self.inner = outer, inner
        self.rules, self.settings, self.source = rules, settings, source
        self.batch = batch
        initializers = outer.initializers
        self.never = initializers.constant(NEVER, np.float32)
        self.last_token = initializers.constant(rules.last_token, np.int32)
        self.pad_token = initializers.constant(rules.pad_token, np.int32)
        self.early = rules.early_stopping is True
        self._prepare()

    def _prepare(self) -> None:
        """Write the tensors that all steps share, into the outer graph."""
        graph = self.outer
        beams = self.settings.num_beams
        # Each beam may end in as many ways as there are end tokens, and as many beams shall run on as there are.
        self.candidates = graph.one("Mul", beams, graph.ints([1 + len(self.rules.end_tokens)]))
        self.by_beam = graph.one("Concat", self.batch, beams, graph.ints([-1]), axis=0)
        self.by_article = graph.one("Concat", self.batch, graph.ints([-1]), axis=0)
        self.merged = graph.one("Add", beams, self.candidates)
        batch, scalar = (graph.one("Squeeze", x, graph.ints([0])) for x in (self.batch, beams))
        zero, one = (graph.initializers.constant(x, np.int64) for x in (0, 1))
        numbers = graph.one("Unsqueeze", graph.one("Range", zero, batch, one), graph.ints([1]))
        self.first_rows = graph.one("Mul", numbers, beams)  # (B, 1)
        self.first_merged = graph.one("Mul", numbers, self.merged)
        # (K, K): a beam sees its own newest token, not those of the others.
        square = graph.one("Concat", beams, beams, axis=0)
        hidden = numpy_helper.from_array(np.array([_HIDDEN], np.float32))
        order = graph.one("Range", zero, scalar, one)
        self.first_beam = graph.one("Equal", order, zero)  # (K,)
        same = graph.one("Equal", order, graph.one("Unsqueeze", order, graph.ints([1])))
        filled = graph.one("ConstantOfShape", square, value=hidden)
        own = graph.one("Where", same, graph.initializers.constant(0.0, np.float32), filled)
        shape = graph.one("Concat", self.batch, square, axis=0)
        self.own = graph.one("Expand", own, shape)  # (B, K, K)
        order = graph.one("Range", zero, graph.one("Squeeze", self.candidates, graph.ints([0])), one)
        self.within = graph.one("Less", order, beams)  # (C,): the candidates that may finish.
        # The scores of a forced token: log probability 0 for it, minus infinity for all others.
        lowest = graph.initializers.constant(-np.inf, np.float32)
        certain = graph.initializers.constant(0.0, np.float32)
        self.forced = graph.one("Where", graph.one("Equal", order, zero), certain, lowest)  # (C,)
        self.free = single(graph, self.source.ends)
        self.ends = self.quotable()

    def quotable(self) -> str:
        """The ends of the sentences that may be quoted, INT32 (B, L); (B, 1) where a summary is free."""
        graph, ids, ends = self.outer, self.source.ids, self.source.ends

        def same(branch: Graph) -> tuple[str, ...]:
            return (branch.one("Identity", ends),)

        def without(branch: Graph) -> tuple[str, ...]:
            return (quotable(branch, ids, ends, self.rules.unquotable),)

        return either(graph, self.free, same, without, kinds=(TensorProto.INT32,), outputs=("quotable",))[0]

    # -- the outer graph ----------------------------------------------------------------------------------------

    def write(self, decoder: Decoder, layers: int, heads: int, head_size: int) -> str:
        """Write the whole search; returns the summaries, INT32 (B, max_length), padded."""
        graph, rules = self.outer, self.rules
        start = numpy_helper.from_array(np.array([rules.start_token], np.int32))
        rows = graph.one("Mul", self.batch, self.settings.num_beams)
        one = graph.ints([1])
        history = graph.one("ConstantOfShape", graph.one("Concat", rows, one, axis=0), value=start)
        square = graph.one("Concat", self.batch, self.settings.num_beams, axis=0)
        never = numpy_helper.from_array(np.array([NEVER], np.float32))
        nothing = graph.one("ConstantOfShape", square, value=never)
        running = graph.one("Where", self.first_beam, graph.initializers.constant(0.0, np.float32), nothing)
        pad = numpy_helper.from_array(np.array([rules.pad_token], np.int32))
        whole = graph.one("Concat", square, self.settings.max_length, axis=0)
        sequences = graph.one("ConstantOfShape", whole, value=pad)
        no = numpy_helper.from_array(np.array([False]))
        finished = graph.one("ConstantOfShape", square, value=no)
        yes = numpy_helper.from_array(np.array([True]))
        improvable = graph.one("ConstantOfShape", graph.one("Concat", self.batch, one, axis=0), value=yes)
        ancestors = graph.one("ConstantOfShape", graph.one("Concat", square, graph.ints([0]), axis=0), value=never)
        empty = graph.one("Concat", self.batch, graph.ints([heads, 0, head_size]), axis=0)
        caches = [graph.one("ConstantOfShape", empty, value=never)] * (2 * layers)
        places = graph.one("Concat", rows, graph.dimension(self.source.ends, 1), axis=0)
        none = graph.one("ConstantOfShape", places, value=numpy_helper.from_array(np.array([0], np.int32)))
        states = [history, running, ancestors, sequences, nothing, finished, improvable, none, *caches]
        # The first token is given and the last one is forced.
        trips = graph.one("Squeeze", graph.one("Sub", self.settings.max_length, graph.ints([2])), graph.ints([0]))
        inputs = [trips, graph.initializers.constant(True, np.bool_), *states]
        found = graph.add("Loop", inputs, outputs=len(states), body=self.body(decoder, layers, heads, head_size))
        history, running, _, sequences, scores, finished, improvable = found[:7]
        return self.forced_end(history, running, Finished(sequences, scores, finished, improvable))

    def forced_end(self, history: str, running: str, finished: Finished) -> str:
        """End every beam that still runs, and choose the best one as the summary: INT32 (B, max_length)."""
        graph = self.outer
        end = graph.one("Expand", self.last_token, self.candidates)
        chosen = self.choose(graph, running, end, self.forced)
        best = self.finish(graph, history, chosen, finished)
        first = graph.one("Slice", best.sequences, graph.ints([0]), graph.ints([1]), graph.ints([1]))
        return graph.one("Squeeze", first, graph.ints([1]))

    # -- one step -----------------------------------------------------------------------------------------------

    def body(self, decoder: Decoder, layers: int, heads: int, head_size: int) -> onnx.GraphProto:
        """The body of the loop."""
        graph, rules = self.inner, self.rules
        caches = [f"cache_{part}_{i}" for i in range(layers) for part in ("key", "value")]
        rows = graph.dimension("history", 0)
        newest = graph.one("Slice", "history", graph.ints([-1]), graph.ints([_END]), graph.ints([1]))
        position = graph.reshape("step", [1])
        seen = graph.one("Concat", "ancestors", self.own, axis=-1)  # (B, K, K * t)
        bias = graph.one("Unsqueeze", seen, graph.ints([1]))
        step = Step(tokens=newest, position=position, caches=caches, ancestors=bias)
        logits, grown = decoder(graph, step)
        values, tokens, quoted = self.next_words(scores_of_words(graph, logits, rules, self.settings, self.free))
        if rules.first_token is not None:
            at_start = graph.one("Equal", position, graph.ints([0]))
            values = graph.one("Where", at_start, self.forced, values)
            first = graph.initializers.constant(rules.first_token, np.int32)
            tokens = graph.one("Where", at_start, first, tokens)
        chosen = self.choose(graph, "running", tokens, values)
        # A candidate that has just finished does not run on.
        scores = graph.one("Add", chosen.scores, self.times_never(graph, chosen.ends))
        running, picks = graph.add("TopK", [scores, self.settings.num_beams], outputs=2, axis=-1)
        rows_of = graph.reshape(graph.one("GatherElements", chosen.rows, picks, axis=1), [-1])
        token = graph.reshape(graph.one("GatherElements", chosen.tokens, picks, axis=1), [-1, 1])
        history = graph.one("Concat", graph.one("Gather", "history", rows_of), token, axis=1)
        flat = graph.one("Reshape", seen, graph.one("Concat", rows, graph.ints([-1]), axis=0))
        ancestors = graph.one("Reshape", graph.one("Gather", flat, rows_of), self.by_beam)
        state = Finished("sequences", "scores", "finished", "improvable")
        after = self.finish(graph, "history", chosen, state)
        improvable = self.can_improve(running, after, graph.dimension("history", 1))
        going = self.goes_on(after.finished, improvable)
        states: dict[str, tuple[str, int, list[str | int]]] = {
            "history": (history, TensorProto.INT32, ["rows", "tokens"]),
            "running": (running, TensorProto.FLOAT, ["batch", "beams"]),
            "ancestors": (ancestors, TensorProto.FLOAT, ["batch", "beams", "nodes"]),
            "sequences": (after.sequences, TensorProto.INT32, ["batch", "beams", "max_length"]),
            "scores": (after.scores, TensorProto.FLOAT, ["batch", "beams"]),
            "finished": (after.finished, TensorProto.BOOL, ["batch", "beams"]),
            "improvable": (improvable, TensorProto.BOOL, ["batch", 1]),
            "quoted": (graph.one("Gather", quoted, rows_of), TensorProto.INT32, ["rows", "places"]),
        }

        def caches_of(names: Sequence[str], nodes: str) -> list[onnx.ValueInfoProto]:
            return [value(name, "FLOAT", ["batch", heads, nodes, head_size]) for name in names]

        inputs = [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("running_on", TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(name, kind, shape) for name, (_, kind, shape) in states.items()),
            *caches_of(caches, "nodes"),
        ]
        outputs = [
            helper.make_tensor_value_info(going, TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(name, kind, None) for name, kind, _ in states.values()),
            *caches_of(grown, "grown"),
        ]
        return helper.make_graph(graph.nodes, "step", inputs, outputs)

    def next_words(self, words: str) -> list[str]:
        """The best tokens of every beam: scores FLOAT and tokens INT32 (R, C), and what is quoted so far."""
        rules, settings, source = self.rules, self.settings, self.source
        listed = (rules.end_tokens, rules.never, rules.never_first)
        constants = (self.outer.initializers.constant(tokens, np.int32) for tokens in listed)
        inputs = [words, "history", "quoted", source.ids, self.ends, settings.sampling]
        inputs += [settings.min_length, settings.max_length, self.candidates, source.spaced, source.unspaced]
        sizes = {"first": rules.before, "ngram": rules.no_repeat_ngram_size}
        return self.inner.add("NextWords", [*inputs, *constants], outputs=3, domain=DOMAIN, **sizes)

    def choose(self, graph: Graph, running: str, tokens: str, values: str) -> Candidates:
        """The best ``C`` continuations of every article.

        Args:
            graph: Where the nodes go.
            running: Scores of the beams, FLOAT (B, K).
            tokens: The best tokens of every beam, INT32 (R, C) or (C,).
            values: Their log probabilities, FLOAT (R, C) or (C,).
        """
        shape = graph.one("Concat", self.batch, self.settings.num_beams, self.candidates, axis=0)
        if graph is self.inner:
            values, tokens = (graph.one("Reshape", x, shape) for x in (values, tokens))
        else:
            tokens = graph.one("Expand", tokens, shape)
        totals = graph.one("Add", values, graph.one("Unsqueeze", running, graph.ints([2])))
        flat_totals, flat_tokens = (graph.one("Reshape", x, self.by_article) for x in (totals, tokens))
        scores, places = graph.add("TopK", [flat_totals, self.candidates], outputs=2, axis=-1)
        token = graph.one("GatherElements", flat_tokens, places, axis=1)
        rows = graph.one("Add", graph.one("Div", places, self.candidates), self.first_rows)
        return Candidates(scores, token, rows, self.is_end(graph, token))

    def is_end(self, graph: Graph, token: str) -> str:
        """Which tokens end a summary: BOOL, of the shape of ``token``."""
        found = [graph.one("Equal", token, graph.initializers.constant(end, np.int32)) for end in self.rules.end_tokens]
        return reduce(lambda one, other: graph.one("Or", one, other), found)

    def times_never(self, graph: Graph, flags: str) -> str:
        """`NEVER` where a flag is set, else 0."""
        return graph.one("Mul", graph.one("Cast", flags, to=TensorProto.FLOAT), self.never)

    def finish(self, graph: Graph, history: str, chosen: Candidates, before: Finished) -> Finished:
        """Merge the candidates that end into the finished beams, and keep the best."""
        length = graph.dimension(history, 1)
        just = graph.one("And", chosen.ends, self.within)
        spans = graph.one("Cast", length, to=TensorProto.FLOAT)
        scores = graph.one("Div", chosen.scores, graph.one("Pow", spans, self.settings.length_penalty))
        if self.early:
            scores = graph.one("Add", scores, self.times_never(graph, self.all(graph, before.finished)))
        scores = graph.one("Add", scores, self.times_never(graph, graph.one("Not", before.improvable)))
        scores = graph.one("Add", scores, self.times_never(graph, graph.one("Not", just)))
        # The candidates' tokens, padded: (B, C, max_length).
        past = graph.one("Gather", history, graph.reshape(chosen.rows, [-1]))
        padded = graph.one("Concat", past, graph.reshape(chosen.tokens, [-1, 1]), axis=1)
        missing = graph.one("Sub", graph.one("Sub", self.settings.max_length, length), graph.ints([1]))
        pads = graph.one("Concat", graph.ints([0, 0, 0]), missing, axis=0)
        padded = graph.one("Pad", padded, pads, self.pad_token)
        shape = graph.one("Concat", self.batch, self.candidates, graph.ints([-1]), axis=0)
        tokens = graph.one("Concat", before.sequences, graph.one("Reshape", padded, shape), axis=1)
        merged = graph.one("Concat", before.scores, scores, axis=1)
        best, places = graph.add("TopK", [merged, self.settings.num_beams], outputs=2, axis=-1)
        both = graph.one("Concat", before.finished, just, axis=1)
        finished = graph.one("GatherElements", both, places, axis=1)
        whole = graph.one("Concat", graph.ints([-1]), self.settings.max_length, axis=0)
        rows = graph.one("Add", places, self.first_merged)
        sequences = graph.one("Gather", graph.one("Reshape", tokens, whole), rows)
        return Finished(sequences, best, finished, before.improvable)

    def all(self, graph: Graph, flags: str) -> str:
        """Whether all flags (B, K) of an article are set: BOOL (B, 1)."""
        lowest = graph.one("ReduceMin", graph.one("Cast", flags, to=TensorProto.INT32), axes=[1], keepdims=1)
        return graph.one("Cast", lowest, to=TensorProto.BOOL)

    def can_improve(self, running: str, after: Finished, tokens: str) -> str:
        """Whether a running beam may still become better than a finished one: BOOL (B, 1)."""
        graph = self.inner
        length = tokens
        if self.rules.early_stopping == "never":
            longest = graph.one("Sub", self.settings.max_length, graph.ints([1]))
            positive = graph.one("Greater", self.settings.length_penalty, graph.initializers.constant(0.0, np.float32))
            length = graph.one("Where", positive, longest, tokens)
        span = graph.one("Pow", graph.one("Cast", length, to=TensorProto.FLOAT), self.settings.length_penalty)
        head = graph.one("Slice", running, graph.ints([0]), graph.ints([1]), graph.ints([1]))
        possible = graph.one("Div", head, span)
        worst = graph.one("ReduceMin", after.scores, axes=[1], keepdims=1)
        worst = graph.one("Where", after.finished, worst, self.never)  # (B, K)
        lowest = graph.one("ReduceMin", worst, axes=[1], keepdims=1)
        return graph.one("And", after.improvable, graph.one("Greater", possible, lowest))

    def goes_on(self, finished: str, improvable: str) -> str:
        """Whether any article needs another step: BOOL ()."""
        graph = self.inner
        going = improvable
        if self.early:
            going = graph.one("And", going, graph.one("Not", self.all(graph, finished)))
        highest = graph.one("ReduceMax", graph.one("Cast", going, to=TensorProto.INT32), keepdims=0)
        return graph.one("Cast", highest, to=TensorProto.BOOL)
