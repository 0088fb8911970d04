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
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .beam_scores import scores_of_words
from .beam_state import Decoder, Finished, Found, Rules, Settings, Source, Step
from .branches import either, single
from .graph import DOMAIN, Graph, value
from .keep_beams import ATTRIBUTES, EARLY, NEVER, SHARED, Shared, choose, finish
from .quotes import quotable

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
        self.last_token = initializers.constant(rules.last_token, np.int32)
        self.end_tokens = initializers.constant(rules.end_tokens, np.int32)
        self._prepare()

    def _prepare(self) -> None:
        """Write the tensors that all steps share, into the outer graph."""
        graph = self.outer
        beams = self.settings.num_beams
        # Each beam may end in as many ways as there are end tokens, and as many beams shall run on as there are.
        self.candidates = graph.one("Mul", beams, graph.ints([1 + len(self.rules.end_tokens)]))
        self.by_beam = graph.one("Concat", self.batch, beams, graph.ints([-1]), axis=0)
        merged = graph.one("Add", beams, self.candidates)
        batch, scalar = (graph.one("Squeeze", x, graph.ints([0])) for x in (self.batch, beams))
        zero, one = (graph.initializers.constant(x, np.int64) for x in (0, 1))
        numbers = graph.one("Unsqueeze", graph.one("Range", zero, batch, one), graph.ints([1]))
        first_rows, first_merged = (graph.one("Mul", numbers, size) for size in (beams, merged))  # (B, 1)
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
        self.shared = Shared(
            max_length=self.settings.max_length,
            length_penalty=self.settings.length_penalty,
            end_tokens=self.end_tokens,
            batch=self.batch,
            beams=beams,
            candidates=self.candidates,
            first_rows=first_rows,
            first_merged=first_merged,
            within=graph.one("Less", order, beams),
        )
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

    def write(self, decoder: Decoder, layers: int, heads: int, head_size: int, *, asked: str = "") -> Found:
        """Write all steps of the search but its end; `forced_end` makes summaries of what is found.

        Args:
            decoder: Writes the decoder.
            layers: Of the decoder.
            heads: Of the decoder.
            head_size: Of the decoder.
            asked: BOOL (1,): no step is computed where it is false. Every request is searched for without it.
        """
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
        always = graph.initializers.constant(True, np.bool_)
        going = graph.one("Squeeze", asked, graph.ints([0])) if asked else always
        body = self.body(decoder, layers, heads, head_size)
        found = graph.add("Loop", [trips, going, *states], outputs=len(states), body=body)
        history, running, _, sequences, scores, finished, improvable = found[:7]
        return Found(history, running, Finished(sequences, scores, finished, improvable))

    def forced_end(self, graph: Graph, found: Found) -> str:
        """End every beam that still runs, and choose the best one as the summary: INT32 (B, max_length), padded.

        Args:
            graph: Where it goes: the outer one, or a branch of it.
            found: By `write`.
        """
        every = graph.one("Concat", graph.dimension(found.history, 0), self.candidates, axis=0)
        end, values = (graph.one("Expand", x, every) for x in (self.last_token, self.forced))
        chosen = choose(graph, self.shared, self.rules, found.running, end, values)
        best = finish(graph, self.shared, self.rules, found.history, chosen, found.finished)
        first = graph.one("Slice", best.sequences, graph.ints([0]), graph.ints([1]), graph.ints([1]))
        return graph.one("Squeeze", first, graph.ints([1]))

    # -- one step -----------------------------------------------------------------------------------------------

    def body(self, decoder: Decoder, layers: int, heads: int, head_size: int) -> onnx.GraphProto:
        """The body of the loop."""
        graph, rules = self.inner, self.rules
        caches = [f"cache_{part}_{i}" for i in range(layers) for part in ("key", "value")]
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
        states_before = ["history", "running", seen, "sequences", "scores", "finished", "improvable"]
        sizes = dict(zip(ATTRIBUTES, (EARLY[rules.early_stopping], rules.pad_token), strict=True))
        inputs = [values, tokens, *states_before, *(getattr(self.shared, name) for name in SHARED)]
        *kept, rows_of, going = graph.add("KeepBeams", inputs, outputs=9, domain=DOMAIN, **sizes)
        states: dict[str, tuple[str, int, list[str | int]]] = {
            "history": (kept[0], TensorProto.INT32, ["rows", "tokens"]),
            "running": (kept[1], TensorProto.FLOAT, ["batch", "beams"]),
            "ancestors": (kept[2], TensorProto.FLOAT, ["batch", "beams", "nodes"]),
            "sequences": (kept[3], TensorProto.INT32, ["batch", "beams", "max_length"]),
            "scores": (kept[4], TensorProto.FLOAT, ["batch", "beams"]),
            "finished": (kept[5], TensorProto.BOOL, ["batch", "beams"]),
            "improvable": (kept[6], TensorProto.BOOL, ["batch", 1]),
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
        never = (self.outer.initializers.constant(tokens, np.int32) for tokens in (rules.never, rules.never_first))
        inputs = [words, "history", "quoted", source.ids, self.ends, settings.sampling]
        inputs += [settings.min_length, settings.max_length, self.candidates, source.spaced, source.unspaced]
        sizes = {"first": rules.before, "ngram": rules.no_repeat_ngram_size}
        return self.inner.add("NextWords", [*inputs, self.end_tokens, *never], outputs=3, domain=DOMAIN, **sizes)
