"""The same work in other engines: ``generate`` of ``transformers``, also compiled, CTranslate2 and ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.context import Context
from benchmarks.gpu.models import make_model
from benchmarks.gpu.peers.generating import DTYPES, Measured, Search, compiled, generate_call, measured
from benchmarks.gpu.peers.installed import CTranslate2, OnnxRuntime, ctranslate2_for
from benchmarks.gpu.roofline import layers, summary_ms, times_floor
from benchmarks.gpu.timing import time_call
from benchmarks.gpu.trial import SPREAD, Trial

TABLE: Final = "peers"
BATCHES: Final = (1, 32, 8)
"""The two ends first, since time may run out."""
TOY_BATCHES: Final = (1, 2)
TOY_SEARCH: Final = Search(tokens_in=16, tokens_out=8)
TOKENS: Final = 128
LABELS: Final = 10
_CALL_S: Final = 6.0
"""About how long a batch of summaries takes to be measured."""
_CONVERT_S: Final = 20.0
_COMPILE_S: Final = 25.0
_RESERVE_S: Final = 3.0
"""Left when what compiles is killed, to end in order."""


class _Peers:
    """What all engines are given, and the rows that they get."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context, self.folder = context, folder
        # On a processor, fp16 would measure how it is imitated.
        self.precision = "fp16" if context.cuda else "fp32"
        self.search = TOY_SEARCH if context.toy else Search()
        self.batches = TOY_BATCHES if context.toy else BATCHES
        self.tokens = 32 if context.toy else TOKENS

    def bart(self) -> Any:
        """BART large with random weights."""
        return make_model(self.context, "bart", DTYPES[self.precision])

    def row(self, engine: str, work: str, found: Measured, floor_ms: float | None) -> None:
        """Send a row."""
        self.context.row(
            TABLE,
            engine=engine,
            work=work,
            batch=found.batch,
            precision=self.precision,
            p50_ms=found.p50_ms,
            articles_per_s=1e3 * found.batch / found.p50_ms,
            floor_ms=floor_ms,
            times_floor=times_floor(found.p50_ms, floor_ms),
            first_ms=found.first_ms,
        )

    def summary(self, engine: str, found: Measured) -> None:
        """Send the row of a batch of summaries."""
        search, shape = self.search, shape_of("bart")
        floor_ms = summary_ms(
            shape,
            self.context.sizes(shape),
            found.batch,
            search.beams,
            search.tokens_in,
            search.tokens_out,
            self.precision,
            self.context.rates,
        )
        work = f"{shape.name}, {search.tokens_in} in, {search.tokens_out} out, {search.beams} beams"
        self.row(engine, work, found, floor_ms)

    def summaries(self, engine: str, call_of: Callable[[int], Callable[[], None]]) -> None:
        """Measure an engine that writes summaries, batch after batch."""
        for batch in self.batches:

            def one(batch: int = batch) -> None:
                self.summary(engine, measured(self.context, batch, call_of(batch)))

            self.context.attempt(TABLE, f"{engine}, batch {batch}", one, at_least_s=self.takes_s(_CALL_S))

    def takes_s(self, seconds: float) -> float:
        """An estimate for full size; nothing for small models."""
        return 0.0 if self.context.toy else seconds

    def generate(self) -> None:
        """``transformers`` as it is."""
        self.summaries("transformers", partial(generate_call, self.context, self.bart(), self.search))

    def ctranslate2(self) -> None:
        """CTranslate2."""
        ctranslate2_for(self.context)  # Before a model is made in vain.
        engine = CTranslate2(self.context, self.bart(), self.precision, self.folder)
        self.summaries("CTranslate2", partial(engine.call, self.search))

    def onnxruntime(self) -> None:
        """ONNX Runtime."""
        context, shape = self.context, shape_of("distilbert")
        make = partial(make_model, context, "distilbert", num_labels=LABELS, initializer_range=SPREAD)
        engine = OnnxRuntime(context, make(DTYPES[self.precision]), "distilbert", self.tokens, self.folder)
        exact = make(torch.float32)

        def one(batch: int) -> None:
            trial = Trial(context, exact, "distilbert", batch, self.tokens)
            call = engine.call(trial, batch)
            first_ms = time_call(call, context.device, warmup=0, runs=1).median_ms
            trial.check(call)
            p50_ms = time_call(call, context.device, runs=2 if context.toy else 30, limit_s=0.7).median_ms
            work = layers(shape, context.sizes(shape), batch, self.tokens, self.precision)
            floor_ms = work.minimum_ms(context.rates, self.precision)
            found = Measured(batch=batch, p50_ms=p50_ms, first_ms=first_ms)
            self.row("ONNX Runtime", f"{shape.name}, {self.tokens} tokens", found, floor_ms)

        for batch in self.batches:
            context.attempt(TABLE, f"ONNX Runtime, batch {batch}", partial(one, batch))

    def compiled(self) -> None:
        """``transformers`` compiled, with all of the time that is left."""
        limit_s = self.context.left_s - _RESERVE_S
        collect = partial(self.summary, "transformers, static caches, compiled")
        batches = self.batches[:1] if self.context.toy else self.batches  # Each is compiled anew.
        compiled(self.context, self.precision, self.search, batches, limit_s, collect)


def run(context: Context) -> None:
    """Measure each engine that is there; the one that compiles, and may not come to an end, is the last."""
    with tempfile.TemporaryDirectory() as folder:
        peers = _Peers(context, Path(folder))
        for engine, call, at_least_s in (
            ("transformers", peers.generate, _CALL_S),
            ("ONNX Runtime", peers.onnxruntime, _CONVERT_S),
            ("CTranslate2", peers.ctranslate2, _CONVERT_S),
            ("transformers, static caches, compiled", peers.compiled, _COMPILE_S),
        ):
            context.attempt(TABLE, engine, call, at_least_s=peers.takes_s(at_least_s))
