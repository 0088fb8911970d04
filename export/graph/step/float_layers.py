"""Layers in floating point: standard operators of opset 24, which ONNX Runtime runs on CUDA and TensorRT parses."""

from __future__ import annotations

from typing import Final

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from engine.settings import Rules
from export.graph.graph import Graph

from .advance import Advance
from .logic import Logic
from .places import newest_nodes
from .weights import EPSILON, Weights
from .words import LISTS, Lists

FLOATS: Final = {"fp32": np.dtype(np.float32), "fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
"""The number formats, by the name of a precision."""
_KINDS: Final = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_HALF_LIMIT: Final = 6.0e4
"""Sums in fp16 are clipped to this, below its maximum of 65504, as they otherwise overflow in some models."""
_WORDS_IN: Final = {"fp32": "fp32", "fp16": "fp16", "bf16": "fp16"}
"""The number format of the words: scores of 8 bits, as bf16 has them, would be the same for many words."""


class FloatLayers:
    """Standard operators of opset 24 in fp32, fp16 or bf16; normalisations, softmax and scores are in fp32."""

    def __init__(self, graph: Graph, weights: Weights, rules: Rules, precision: str) -> None:
        """Write into a graph.

        Args:
            graph: Its operator set is 24.
            weights: Those of the model.
            rules: Those of its search.
            precision: A key of `FLOATS`.
        """
        self.graph, self.logic, self.weights, self.rules = graph, Logic(graph), weights, rules
        self.architecture, self.precision = weights.architecture, precision
        self.heads = self.architecture.decoder_heads

    def _store(self, name: str, value: npt.NDArray[np.float32], precision: str = "") -> str:
        precision = precision or self.precision
        if precision == "fp16":
            value = np.clip(value, -_HALF_LIMIT, _HALF_LIMIT)
        return self.weights.initializers.add(name, value.astype(FLOATS[precision]))

    def dense(self, x: str, *names: str, activation: str = "") -> str:
        """See `Layers`."""
        name, checkpoint = "+".join(names), self.weights.checkpoint
        weight = self._store(f"{name}.weight", checkpoint.dense_weight(*names))
        total = self.graph.one("Add", self.graph.one("MatMul", x, weight), self._dense_bias(name, *names))
        return self.graph.one({"gelu": "Gelu", "relu": "Relu"}[activation], total) if activation else total

    def _dense_bias(self, name: str, *names: str) -> str:
        return self._store(f"{name}.bias", self.weights.checkpoint.dense_bias(*names))

    def add_norm(self, x: str, skip: str, name: str) -> str:
        """See `Layers`."""
        total = self.graph.one("Add", x, skip)
        if self.precision == "fp16":
            bounds = [self.graph.initializers.constant(bound, np.float16) for bound in (-_HALF_LIMIT, _HALF_LIMIT)]
            total = self.graph.one("Clip", total, *bounds)
        norm = self.weights.checkpoint.norm(name, EPSILON)
        parameters = (self._store(f"{name}.gamma", norm.gamma), self._store(f"{name}.beta", norm.beta))
        return self.graph.one("LayerNormalization", total, *parameters, axis=-1, epsilon=EPSILON, stash_type=1)

    def embed(self, ids: str, rows: str, side: str) -> str:
        """See `Layers`."""
        table = self._store(f"{side}_positions.weight", self.weights.position_table(side))
        positions = self.graph.one("Gather", table, rows)
        words = self.graph.one("Gather", self._words(), ids)
        if _WORDS_IN[self.precision] != self.precision:
            words = self.graph.one("Cast", words, to=_KINDS[self.precision])
        if self.architecture.scale_embedding:
            words = self.graph.one(
                "Mul", words, self.logic.number(self.architecture.width**0.5, FLOATS[self.precision])
            )
        return self.add_norm(words, positions, f"model.{side}.layernorm_embedding")

    def _words(self) -> str:
        return self._store("words.weight", self.weights.words, _WORDS_IN[self.precision])

    def _split(self, parts: str, count: int, heads: int) -> list[str]:
        """(slots, n, count * width) as ``count`` tensors (slots, heads, n, size)."""
        by_head = self.graph.reshape(parts, [0, 0, count, heads, self.architecture.width // heads])
        stacked = self.graph.one("Transpose", by_head, perm=[2, 0, 3, 1, 4])
        if count == 1:
            return [self.logic.squeeze(stacked, 0)]
        found = self.graph.add("Split", [stacked], outputs=count, axis=0, num_outputs=count)
        return [self.logic.squeeze(one, 0) for one in found]

    def _attention(self, query: str, key: str, value: str, mask: str) -> str:
        """(slots, heads, n, size) with a mask BOOL (slots, 1, n, places): (slots, n, width)."""
        found = self.graph.one("Attention", query, key, value, mask, softmax_precision=TensorProto.FLOAT)
        return self.graph.reshape(self.graph.one("Transpose", found, perm=[0, 2, 1, 3]), [0, 0, -1])

    def attend_all(self, parts: str, mask: str, heads: int) -> str:
        """See `Layers`."""
        logic, (query, key, value) = self.logic, self._split(parts, 3, heads)
        # A window without tokens sees its first place: attention over none is not a number, nor is 0 times that.
        seen, length = logic.flag(mask), logic.size(mask, 1)
        empty = logic.no(logic.any_along(seen, 1))
        seen = logic.either(seen, logic.all(empty, logic.one("Equal", logic.range(length), logic.number(0))))
        return self._attention(query, key, value, logic.expand(logic.wide(seen, 1, 2), 1, 1, length, 1))

    def cross_store(self, both: str, layer: int) -> dict[str, str]:
        """See `Layers`."""
        key, value = self._split(both, 2, self.heads)
        return {f"cross_key_{layer}": key, f"cross_value_{layer}": value}

    def cross_mask(self, mask: str) -> dict[str, str]:
        """See `Layers`."""
        return {"cross_mask": self.logic.flag(mask)}

    def attend_beams(self, parts: str, layer: int) -> tuple[str, dict[str, str]]:
        """See `Layers`."""
        query, *new = self._split(parts, 3, self.heads)
        caches = [f"key_{layer}", f"value_{layer}"]
        grown = [
            self.graph.one("TensorScatter", cache, update, self.newest_at, axis=2)
            for cache, update in zip(caches, new, strict=True)
        ]
        context = self._attention(query, grown[0], grown[1], self.seen)
        return context, dict(zip(caches, grown, strict=True))

    def attend_cross(self, query: str, layer: int) -> str:
        """See `Layers`."""
        (by_head,) = self._split(query, 1, self.heads)
        return self._attention(by_head, f"cross_key_{layer}", f"cross_value_{layer}", self.cross_seen)

    def logits(self, x: str) -> str:
        """See `Layers`."""
        rows = self.graph.reshape(x, [-1, self.architecture.width])
        if _WORDS_IN[self.precision] != self.precision:
            rows = self.graph.one("Cast", rows, to=_KINDS[_WORDS_IN[self.precision]])
        product = self.graph.one("Gemm", rows, self._words(), transB=1)
        if self.precision != "fp32":
            product = self.graph.one("Cast", product, to=TensorProto.FLOAT)
        return self.graph.one("Add", product, self._store("logits.bias", self.weights.logits_bias, "fp32"))

    def prepare_step(self) -> None:
        """See `Layers`."""
        logic = self.logic
        self.newest_at, self.visible = newest_nodes(logic)
        self.seen = logic.wide(self.visible, 1)
        self.cross_seen = logic.expand(logic.wide("cross_mask", 1, 2), 1, 1, logic.size("newest", 1), 1)

    def advance(self, logits: str, *, choices: bool) -> dict[str, str]:
        """See `Layers`."""
        logic, rules = self.logic, self.rules
        lists = Lists(*(logic.number(list(getattr(rules, name))) for name in LISTS))
        columns = self.weights.columns
        return Advance(logic, rules, lists, visible=self.visible, columns=columns, choices=choices).write(logits)
