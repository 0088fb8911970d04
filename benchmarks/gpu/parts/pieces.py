"""The pieces of a beam step one by one, which explain a slow step: launches, products, attention, best words.

Each piece is captured as a CUDA graph that holds it several times, with as many different weights or caches as a model
has layers: together they do not fit into the card's cache, as in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - as everybody writes it

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.context import Context
from benchmarks.gpu.roofline import BYTES, Work, times_floor
from benchmarks.gpu.summarizer import MODEL_TYPE
from benchmarks.gpu.timing import graphed, time_call
from engine.pytorch.model.layers import ATTENTION, attention
from engine.pytorch.model.weights import VOCABULARY_MULTIPLE
from engine.pytorch.search.words import top_words

PRECISION: Final = "bf16"
_BEAMS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The sizes."""

    batches: tuple[int, ...] = (1, 8, 32)
    launches: int = 300
    tokens_in: int = 512
    nodes: int = 240
    """Places in the cache of a summary of 60 tokens."""
    layers: int = 12
    runs: int = 20
    least_s: float = 2.0
    """A piece does not begin with less time left."""


_TOY: Final = Plan(batches=(1,), launches=5, tokens_in=24, nodes=48, layers=2, runs=1, least_s=0)


@dataclass(frozen=True, kw_only=True)
class _Bench:
    context: Context
    plan: Plan
    sizes: Any = field(repr=False)

    def random(self, *shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.randn(shape, device=self.context.device, dtype=dtype)

    def us(self, calls: Sequence[Callable[[], object]]) -> float:
        """Microseconds of one of some calls, in a graph of them all."""

        def work() -> None:
            with torch.no_grad():
                for call in calls:
                    call()

        replay = graphed(work, self.context.device)
        timing = time_call(replay, self.context.device, runs=self.plan.runs, limit_s=0.5)
        return timing.median_ms * 1e3 / len(calls)

    def row(self, piece: str, way: str, rows: int, us: float, work: Work | None) -> None:
        minimum_ms = None if work is None else work.minimum_ms(self.context.rates, PRECISION)
        floor_us = None if minimum_ms is None else minimum_ms * 1e3
        self.context.row(
            "pieces", piece=piece, way=way, rows=rows, us=us, floor_us=floor_us, times_floor=times_floor(us, floor_us)
        )

    # -- the pieces -----------------------------------------------------------------------------------------------

    def launches(self) -> None:
        """A kernel that does next to nothing: what each one of a step costs at least."""
        x = self.random(16)
        us = self.us([partial(x.add_, 1)] * self.plan.launches)
        self.row("the smallest kernel", "one after another", 1, us, None)

    def products(self) -> None:
        """The dense layers of the decoder, and the product by the vocabulary."""
        width, inner, words = (self.sizes[name] for name in ("d_model", "decoder_ffn_dim", "vocab_size"))
        dense = ((width, 3 * width), (width, width), (width, inner), (inner, width))
        # The vocabulary's product is larger than the card's cache by itself.
        for shape, count in (*((shape, self.plan.layers) for shape in dense), ((width, _padded(words)), 1)):
            for batch in self.plan.batches:
                self.product(*shape, batch * _BEAMS, count)

    def product(self, inputs: int, outputs: int, rows: int, count: int) -> None:
        weights, bias, x = (
            [self.random(outputs, inputs) for _ in range(count)],
            self.random(outputs),
            self.random(rows, inputs),
        )
        work = Work(operations=2 * rows * inputs * outputs, bytes=inputs * outputs * BYTES[PRECISION])
        us = self.us([partial(F.linear, x, weight, bias) for weight in weights])
        self.row(f"product {inputs} to {outputs}", "F.linear with a bias", rows, us, work)

    def attentions(self) -> None:
        """From the beams to their own past, and to the article."""
        pasts = {"attention to the past": self.plan.nodes, "attention to the article": self.plan.tokens_in}
        # cuDNN is for GPUs alone.
        ways = tuple(ATTENTION) if self.context.cuda else ("efficient", "products")
        for piece, length in pasts.items():
            for batch in self.plan.batches:
                for way in ways:
                    measure = partial(self.attention, piece, length, batch, way)
                    words = f"{piece}, {way}, batch {batch}"
                    self.context.attempt("pieces", words, measure, at_least_s=self.plan.least_s)

    def attention(self, piece: str, length: int, batch: int, way: str) -> None:
        heads, width = self.sizes["decoder_attention_heads"], self.sizes["d_model"]
        size = width // heads
        caches = [[self.random(batch, heads, length, size) for _ in "kv"] for _ in range(self.plan.layers)]
        query = self.random(batch, _BEAMS, heads, size).transpose(1, 2)  # Laid out as in a step.
        bias = torch.zeros(batch, 1, _BEAMS, length, device=self.context.device, dtype=torch.bfloat16)
        moved = 2 * batch * length * width * BYTES[PRECISION]
        work = Work(operations=4 * batch * _BEAMS * length * width, bytes=moved)
        us = self.us([partial(attention, query, keys, values, bias, way) for keys, values in caches])
        self.row(piece, way, batch * _BEAMS, us, work)

    def best_words(self) -> None:
        """The best eight words of each beam, and the probabilities before."""
        for batch in self.plan.batches:
            rows, columns = batch * _BEAMS, _padded(self.sizes["vocab_size"])
            scores = self.random(rows, columns, dtype=torch.float32)
            work = Work(operations=0, bytes=4 * rows * columns)
            ways = {"part by part": True, "all at once": False}
            for way, chunked in ways.items():
                us = self.us([partial(top_words, scores, 2 * _BEAMS, chunked=chunked)])
                self.row("the best words", way, rows, us, work)
            self.row("log-softmax", "fp32", rows, self.us([partial(torch.log_softmax, scores, -1)]), work)


def _padded(words: int) -> int:
    return -(-words // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def run(context: Context) -> None:
    """Time the pieces at the full model's sizes."""
    bench = _Bench(context=context, plan=_TOY if context.toy else Plan(), sizes=context.sizes(shape_of(MODEL_TYPE)))
    for piece in (bench.launches, bench.best_words, bench.products, bench.attentions):
        context.attempt("pieces", piece.__name__, piece, at_least_s=bench.plan.least_s)
