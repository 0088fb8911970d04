"""Category and veracity at full size: as ``transformers`` runs them, as CUDA graphs, compiled, and both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest.mock import patch

import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.context import Context
from benchmarks.gpu.models import make_model
from benchmarks.gpu.roofline import layers, times_floor
from benchmarks.gpu.timing import graphed, synchronize, time_call
from benchmarks.gpu.trial import SPREAD, Trial

TABLE: Final = "classifiers"
PRECISION: Final = "bf16"
BATCHES: Final = (1, 32, 8)
"""The two ends first, since time may run out."""
TOY_BATCHES: Final = (2,)
_AT_LEAST_S: Final = 2.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A classifier that is measured."""

    model_type: str
    labels: int
    tokens: int
    compile_s: float
    """About how long it takes to compile, until one has been."""
    entries: tuple[tuple[str, Any], ...] = ()
    """Further ones of its configuration."""


SUBJECTS: Final = (
    Subject(model_type="distilbert", labels=10, tokens=128, compile_s=15),
    # Hidden states of every layer are kept for a next segment otherwise, which no server asks for.
    Subject(model_type="xlnet", labels=2, tokens=512, compile_s=25, entries=(("use_mems_eval", False),)),
)


class _Bench:
    """One classifier, in fp32 to compare with and in bf16 to be measured."""

    def __init__(self, context: Context, subject: Subject) -> None:
        self.context, self.subject, self.shape = context, subject, shape_of(subject.model_type)
        self.tokens = 32 if context.toy else subject.tokens
        entries = {"num_labels": subject.labels, "initializer_range": SPREAD, **dict(subject.entries)}
        self.exact = make_model(context, subject.model_type, torch.float32, **entries)
        self.model = make_model(context, subject.model_type, torch.bfloat16, **entries)
        self.compile_s = subject.compile_s
        self.trials: dict[int, Trial] = {}

    def trial(self, batch: int) -> Trial:
        """The articles of a batch; asked in fp32 once."""
        if batch not in self.trials:
            self.trials[batch] = Trial(self.context, self.exact, self.subject.model_type, batch, self.tokens)
        return self.trials[batch]

    def measure(self, batch: int, way: str, call: Callable[[], object], began_s: float) -> None:
        """Compare, time and send a row.

        Args:
            batch: Articles.
            way: How they are classified.
            call: Does it, from and into the trial's tensors.
            began_s: When it began to be prepared, by `time.monotonic`.
        """
        context = self.context
        call()
        synchronize(context.device)
        prepare_s = time.monotonic() - began_s
        score = self.trial(batch).check(call)
        runs, limit_s = (2, 0.2) if context.toy else (50, 0.7)
        p50_ms = time_call(call, context.device, runs=runs, limit_s=limit_s).median_ms
        work = layers(self.shape, context.sizes(self.shape), batch, self.tokens, PRECISION)
        floor_ms = work.minimum_ms(context.rates, PRECISION)
        context.row(
            TABLE,
            model=self.shape.name,
            tokens=self.tokens,
            batch=batch,
            way=way,
            precision=PRECISION,
            p50_ms=p50_ms,
            articles_per_s=1e3 * batch / p50_ms,
            floor_ms=floor_ms,
            times_floor=times_floor(p50_ms, floor_ms),
            agreement=score.agreement,
            difference=score.difference,
            prepare_s=prepare_s,
        )

    def eager(self, batch: int) -> None:
        """As ``transformers`` runs it."""
        trial, began_s = self.trial(batch), time.monotonic()
        self.measure(batch, "eager", partial(trial.answer, self.model), began_s)

    def graph(self, batch: int, way: str, model: Any) -> None:
        """A CUDA graph of it."""
        trial, began_s = self.trial(batch), time.monotonic()
        with _everything_on(self.context.device):
            call = graphed(partial(trial.answer, model), self.context.device)
            self.measure(batch, way, call, began_s)

    def compiled(self, batch: int) -> None:
        """Compiled for this batch alone, then a CUDA graph of what was compiled."""
        trial, began_s = self.trial(batch), time.monotonic()
        backend = "eager" if self.context.toy else "inductor"
        model = torch.compile(self.model, dynamic=False, fullgraph=True, backend=backend)
        try:
            with _everything_on(self.context.device):
                trial.answer(model)
                synchronize(self.context.device)
                self.compile_s = time.monotonic() - began_s
                self.measure(batch, "compiled", partial(trial.answer, model), began_s)
            way = "CUDA graph of compiled"
            self.context.attempt(TABLE, self.words(batch, way), partial(self.graph, batch, way, model))
        finally:
            torch.compiler.reset()  # Each batch would count towards the limit of recompilations.

    def words(self, batch: int, way: str) -> str:
        """A cell of the table in words."""
        return f"{self.shape.name}, batch {batch}, {way}"


@contextmanager
def _everything_on(device: str) -> Iterator[None]:
    """XLNet makes a matrix on the CPU at each call and copies it, which no CUDA graph allows.

    `torch.device` as a context does not do: PyTorch 2.11 forgets it while it compiles.
    """
    with patch.object(torch, "eye", partial(torch.eye, device=device)):
        yield


def run(context: Context) -> None:
    """Measure both classifiers: all of them eager and as CUDA graphs first, since compiling takes long."""
    # All models are made before the first capture: one that fails can leave the generator of random numbers unusable.
    made = [
        context.attempt(TABLE, shape_of(subject.model_type).name, partial(_Bench, context, subject))
        for subject in SUBJECTS
    ]
    benches, batches = [bench for bench in made if bench], TOY_BATCHES if context.toy else BATCHES
    with torch.inference_mode():
        for batch in batches:
            for bench in benches:
                eager = bench.words(batch, "eager")
                context.attempt(TABLE, eager, partial(bench.eager, batch), at_least_s=_AT_LEAST_S)
                way = "CUDA graph"
                call = partial(bench.graph, batch, way, bench.model)
                context.attempt(TABLE, bench.words(batch, way), call, at_least_s=_AT_LEAST_S)
        for batch in batches:
            for bench in benches:
                words, at_least_s = bench.words(batch, "compiled"), 0 if context.toy else bench.compile_s + _AT_LEAST_S
                context.attempt(TABLE, words, partial(bench.compiled, batch), at_least_s=at_least_s)
