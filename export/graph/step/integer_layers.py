"""Layers in int8 for CPUs: fused operators, which native kernels compute, or the functions that every model carries."""

from __future__ import annotations

from typing import Final

from engine.settings import Rules
from engine.tensors import CHOICES, NEXT, QUOTED, STATE, WISHES
from export.graph import int8_attention
from export.graph.graph import DOMAIN, Graph, Layout

from .logic import Logic
from .weights import EPSILON, Weights
from .words import LISTS

STORED: Final = ("key", "key_scale", "value", "value_scale")
"""What an article leaves for each layer of the decoder, see ``Int8SlotStore``."""
ROOM: Final = "room"
"""Input of the encoder, INT64 (1,): the places of what it stores, padding added."""
_NONE: Final = -1


class IntegerLayers:
    """Dense layers and attention over the article in int8; what lies between them is in fp32."""

    def __init__(self, graph: Graph, weights: Weights, rules: Rules) -> None:
        """Write into a graph.

        Args:
            graph: Its precision is int8.
            weights: Those of the model.
            rules: Those of its search.
        """
        self.graph, self.logic, self.weights, self.rules = graph, Logic(graph), weights, rules
        self.architecture = weights.architecture
        self.layout: Layout = "batch"
        self.table = graph.store_embedding("words", weights.words)

    def prepare_step(self) -> None:
        """See `Layers`."""
        self.layout = "rows"

    def dense(self, x: str, *names: str, activation: str = "") -> str:
        """See `Layers`."""
        checkpoint = self.weights.checkpoint
        weight, bias = checkpoint.dense_weight(*names), checkpoint.dense_bias(*names)
        return self.graph.linear(x, "+".join(names), weight, bias, layout=self.layout, activation=activation)

    def add_norm(self, x: str, skip: str, name: str) -> str:
        """See `Layers`."""
        return self.graph.layer_norm(x, skip, name, self.weights.checkpoint.norm(name, EPSILON))

    def embed(self, ids: str, rows: str, side: str) -> str:
        """See `Layers`."""
        table = self.weights.initializers.add(f"{side}_positions.weight", self.weights.position_table(side))
        words = self.graph.embedding(self.table, ids)
        if self.architecture.scale_embedding:
            words = self.graph.one("Mul", words, self.logic.number(self.architecture.width**0.5, "float32"))
        x = self.add_norm(words, self.graph.one("Gather", table, rows), f"model.{side}.layernorm_embedding")
        return self.graph.reshape(x, [-1, self.architecture.width]) if self.layout == "rows" else x

    def attend_all(self, parts: str, mask: str, heads: int) -> str:
        """See `Layers`."""
        return self.graph.self_attention(parts, mask, heads)

    def cross_store(self, both: str, layer: int) -> dict[str, str]:
        """See `Layers`."""
        names = [f"cross_{part}_{layer}" for part in STORED]
        found = self.graph.add(
            "Int8SlotStore",
            [both, ROOM],
            outputs=len(STORED),
            domain=DOMAIN,
            num_heads=self.architecture.decoder_heads,
        )
        return dict(zip(names, found, strict=True))

    def cross_mask(self, mask: str) -> dict[str, str]:
        """See `Layers`."""
        missing = self.logic.one("Sub", ROOM, self.logic.size(mask, 1))
        padded = self.logic.one("Pad", mask, self.logic.joined([self.graph.ints([0] * 3), missing], 0))
        return {"cross_mask": int8_attention.mask_bias(self.graph, padded)}

    def attend_beams(self, parts: str, layer: int) -> tuple[str, dict[str, str]]:
        """See `Layers`."""
        caches = [f"key_{layer}", f"value_{layer}"]
        context, *grown = self.graph.add(
            "SlotAttention",
            [parts, *caches, "length", "visible"],
            outputs=3,
            domain=DOMAIN,
            num_heads=self.architecture.decoder_heads,
        )
        return context, dict(zip(caches, grown, strict=True))

    def attend_cross(self, query: str, layer: int) -> str:
        """See `Layers`."""
        stored = [f"cross_{part}_{layer}" for part in STORED]
        heads = self.architecture.decoder_heads
        return self.graph.fused("Int8CrossAttention", query, *stored, "cross_mask", num_heads=heads)

    def logits(self, x: str) -> str:
        """See `Layers`."""
        weight = self.graph.one("Transpose", self.table.rows, perm=[1, 0])
        shape = (self.architecture.width, self.weights.columns)
        return self.graph.int8_linear(
            x, "logits", weight, self.table.scales, self.weights.logits_bias, shape, layout="rows"
        )

    def advance(self, logits: str, *, choices: bool) -> dict[str, str]:
        """See `Layers`.

        Raises:
            ValueError: A step without choices is asked for: a native kernel does only what a slot asks for.
        """
        if not choices:
            raise ValueError("a step in int8 has choices always, since they cost slots nothing that make none")
        rules = self.rules
        lists = [self.logic.number(list(getattr(rules, name))) for name in LISTS]
        state = [tensor.name for tensor in (*STATE, QUOTED)]
        names = [tensor.name for tensor in (*WISHES, *CHOICES)]
        found = self.graph.add(
            "AdvanceSlots",
            [logits, *names, *state, *lists],
            outputs=[f"{name}{NEXT}" for name in state],
            domain=DOMAIN,
            words=self.architecture.vocabulary,
            pad_token=rules.pad_token,
            first_token=_NONE if rules.first_token is None else rules.first_token,
            last_token=_NONE if rules.last_token is None else rules.last_token,
            before=rules.before,
            repetition_penalty=float(rules.repetition_penalty),
            longest_ngram=rules.longest_ngram,
        )
        return dict(zip(state, found, strict=True))
