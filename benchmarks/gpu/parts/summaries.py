"""What a summary takes: ways to compute a step, the encoder, whole summaries, and where the time of a step goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Final

import torch

from benchmarks.gpu import roofline
from benchmarks.gpu.context import Context
from benchmarks.gpu.kernels import kernels_of
from benchmarks.gpu.models import make_model
from benchmarks.gpu.roofline import times_floor
from benchmarks.gpu.summarizer import MODEL_TYPE, Size, Summarizer, louder
from benchmarks.gpu.timing import time_call
from engine.pytorch.batch import BatchExecutor
from engine.pytorch.options import Options

PRECISION: Final = "bf16"
SETTING: Final = "summarizer"
"""Name of the setting that says which way was fastest: the fields of `Options`, by batch."""
_STEPS: Final = 30
"""Steps that are given to the device together when one is timed."""
_WAYS: Final = {
    "kernels": Options(),
    "eager": Options(step="torch", attention="efficient"),
    "eager, two products": Options(step="torch", attention="products"),
    "eager, cuDNN's attention": Options(step="torch", attention="cudnn"),
    "eager, words all at once": Options(step="torch", attention="efficient", chunked=False),
    "compiled": Options(compiler="inductor"),
    "compiled, two products": Options(compiler="inductor", attention="products"),
    "compiled, products tuned": Options(compiler="inductor", tuned=True),
}
"""Each under a CUDA graph. An eager one is as PyTorch runs it, operator by operator; ``kernels`` has those of
`engine.pytorch.kernels` where they run, and is eager elsewhere."""
_PROFILED: Final = ("kernels", "eager", "compiled")
_COMPILE_S: Final = 25.0
"""About what compiling takes; nothing that must be compiled begins with less time left."""
_TUNE_S: Final = 40.0
"""The same where kernels are timed against each other."""
_LEAST_S: Final = 5.0
"""The same for what is not compiled."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The work of a run."""

    first: Size = field(default_factory=lambda: Size(batch=1))
    """Where all ways are compared; what comes after it goes the fastest of those that need not be compiled."""
    whole: tuple[Size, ...] = (Size(batch=8), Size(batch=32))
    sweep: tuple[int, ...] = (64, 128, 16, 48, 96, 4, 2)
    """Further batches of sizes that are otherwise as the first. The one with the most articles a second is compiled."""
    more: tuple[Size, ...] = (
        Size(batch=1, tokens_out=142), Size(batch=32, tokens_out=142), Size(batch=1, beams=1), Size(batch=32, beams=1),
        Size(batch=8, tokens_out=142), Size(batch=8, beams=1), Size(batch=1, beams=1, tokens_out=142),
        Size(batch=32, beams=1, tokens_out=142),
    )  # fmt: skip
    eager: tuple[str, ...] = tuple(way for way, options in _WAYS.items() if not options.compiler)
    compiled: tuple[str, ...] = tuple(way for way, options in _WAYS.items() if options.compiler)


_TOY: Final = Plan(
    first=Size(batch=1, tokens_in=24, tokens_out=12),
    whole=(Size(batch=2, tokens_in=24, tokens_out=12),),
    sweep=(3,),
    more=(Size(batch=2, beams=1, tokens_in=24, tokens_out=12),),
    eager=("eager", "eager, two products", "eager, words all at once"),
    compiled=("compiled",),
)


@dataclass(frozen=True, kw_only=True)
class _Times:
    """What one size takes in one way."""

    way: str
    step_ms: float
    whole_ms: float
    memory_gb: float | None
    """The most that was allocated at a time, weights and all."""
    tokens: torch.Tensor


class _Bench:
    def __init__(self, context: Context, plan: Plan, summarizer: Summarizer) -> None:
        self.context, self.plan, self.summarizer = context, plan, summarizer
        self.sizes: Any = context.sizes(summarizer.shape)
        self.quick = plan.eager[0]
        """The fastest way that is not compiled."""
        self.found: dict[Size, list[_Times]] = {}

    def run(self) -> None:
        """The most telling figures first: the time may end at any of them."""
        plan = self.plan
        self.compare(plan.first, plan.eager)
        self.measure_all(plan.whole)
        self.measure_all([replace(plan.first, batch=batch) for batch in plan.sweep])
        self.compare(plan.first, plan.compiled[:1])
        rates = {size: size.batch / self.best(size).whole_ms for size in self.found if self.is_swept(size)}
        busiest = max(rates, key=lambda size: rates[size], default=plan.first)
        if busiest != plan.first:
            self.compare(busiest, plan.compiled[:1])
        self.compare(plan.first, plan.compiled[1:])
        self.measure_all(plan.more)
        best = {size.batch: self.best(size).way for size in (plan.first, busiest) if size in self.found}
        self.context.setting(SETTING, {str(batch): asdict(self.options(way)) for batch, way in best.items()})

    # -- ways -----------------------------------------------------------------------------------------------------

    def options(self, way: str) -> Options:
        """How a way computes; without a GPU the compiler writes no code, which would take minutes."""
        options = _WAYS[way]
        return replace(options, compiler="eager") if self.context.toy and options.compiler else options

    def best(self, size: Size) -> _Times:
        """The fastest so far."""
        return min(self.found[size], key=lambda times: times.whole_ms)

    def is_swept(self, size: Size) -> bool:
        """Whether only its batch is another than that of the first size."""
        return replace(self.plan.first, batch=size.batch) == size

    def compare(self, size: Size, ways: Sequence[str]) -> None:
        """One size in several ways; the fastest that is not compiled is taken from there on."""
        for way in ways:
            self.measure(size, way)
        quick = [times for times in self.found.get(size, ()) if not _WAYS[times.way].compiler]
        if size == self.plan.first and quick:
            self.quick = min(quick, key=lambda times: times.whole_ms).way

    def preparing_s(self, options: Options) -> float:
        """About how long it takes before the first step."""
        if self.context.toy:
            return 0.0
        if not options.compiler:
            return _LEAST_S
        return _TUNE_S if options.tuned else _COMPILE_S

    # -- one size -------------------------------------------------------------------------------------------------

    def measure_all(self, sizes: Sequence[Size]) -> None:
        """Each on its own: one that does not fit into the memory leaves the others as they are."""
        for size in sizes:
            self.measure(size, self.quick)

    def measure(self, size: Size, way: str) -> None:
        """Time a size in one way, and send rows."""
        words = f"{way}, batch {size.batch}, {size.beams} beams, {size.tokens_out} tokens out"
        call = partial(self.in_one_way, size, way)
        times = self.context.attempt("ways", words, call, at_least_s=self.preparing_s(_WAYS[way]))
        if times is None:
            return
        before = self.found.setdefault(size, [])
        before.append(times)
        floor_ms = self.whole_floor_ms(size)
        self.context.row(
            "ways", **size.cells, way=way, step_ms=times.step_ms, p50_ms=times.whole_ms, floor_ms=floor_ms,
            times_floor=times_floor(times.whole_ms, floor_ms),
            equal_tokens=float((times.tokens == before[0].tokens).float().mean()),
        )  # fmt: skip
        if self.best(size) is times:
            self.tell(size, times)

    def in_one_way(self, size: Size, way: str) -> _Times:
        """Build an executor, and time a step and whole summaries."""
        if self.context.cuda:
            torch.cuda.reset_peak_memory_stats()
        executor = self.summarizer.executor(size, self.options(way))
        call = self.summarizer.call(executor, size)
        tokens = call()
        runs = 1 if self.context.toy else 10
        whole = time_call(call, self.context.device, warmup=1, runs=runs, limit_s=1.5)
        times = _Times(
            way=way, step_ms=self.step_ms(executor), whole_ms=whole.median_ms,
            memory_gb=torch.cuda.max_memory_allocated() / 1e9 if self.context.cuda else None, tokens=tokens,
        )  # fmt: skip
        if size == self.plan.first or size in self.plan.whole:
            self.encoder(executor, size, way)
        if way in _PROFILED and self.is_swept(size):
            self.context.attempt("kernels", f"{way}, batch {size.batch}", partial(self.profile, executor, size, way))
        return times

    def tell(self, size: Size, times: _Times) -> None:
        """Rows for the fastest way so far: whole summaries, and the step."""
        floor_ms = self.whole_floor_ms(size)
        cells = {**size.cells, "way": times.way, "p50_ms": times.whole_ms, "floor_ms": floor_ms}
        cells["times_floor"] = times_floor(times.whole_ms, floor_ms)
        rates = {"articles_per_s": size.batch / times.whole_ms * 1e3, "memory_gb": times.memory_gb}
        if self.is_swept(size):
            self.context.row("sweep", **cells, **rates)
        self.context.row("whole", **cells, **rates)
        floor_ms = self.step_floor_ms(size)
        cells = {**size.cells, "way": times.way, "step_ms": times.step_ms, "floor_ms": floor_ms}
        self.context.row("step", **cells, times_floor=times_floor(times.step_ms, floor_ms))

    def step_ms(self, executor: BatchExecutor) -> float:
        """A step among others, milliseconds: its shapes are the same whatever its slots hold."""

        def steps() -> None:
            for _ in range(_STEPS):
                executor.step()

        runs = 1 if self.context.toy else 10
        return time_call(steps, self.context.device, warmup=1, runs=runs, limit_s=1.0).median_ms / _STEPS

    def step_floor_ms(self, size: Size) -> float | None:
        """The mean of the steps of a summary."""
        total = roofline.steps_ms(
            self.summarizer.shape, self.sizes, size.batch, size.beams, size.tokens_in, size.tokens_out, PRECISION,
            self.context.rates,
        )  # fmt: skip
        return None if total is None else total / (size.tokens_out - 1)

    def whole_floor_ms(self, size: Size) -> float | None:
        """Encoder and all steps."""
        return roofline.summary_ms(
            self.summarizer.shape, self.sizes, size.batch, size.beams, size.tokens_in, size.tokens_out, PRECISION,
            self.context.rates,
        )  # fmt: skip

    def encoder(self, executor: BatchExecutor, size: Size, way: str) -> None:
        """The encoder and the keys and values of the cross attentions."""
        sizes = (self.summarizer.shape, self.sizes, size.batch, size.tokens_in, PRECISION)
        layers, store = (
            work(*sizes).minimum_ms(self.context.rates, PRECISION) for work in (roofline.layers, roofline.cross_store)
        )
        floor_ms = None if layers is None or store is None else layers + store
        runs = 1 if self.context.toy else 20
        timing = time_call(executor.encode, self.context.device, warmup=1, runs=runs, limit_s=1.0)
        self.context.row(
            "encoder", batch=size.batch, tokens_in=size.tokens_in, way=way, p50_ms=timing.median_ms,
            floor_ms=floor_ms, times_floor=times_floor(timing.median_ms, floor_ms),
        )  # fmt: skip

    def profile(self, executor: BatchExecutor, size: Size, way: str) -> None:
        """Where the time of a step goes, by kernel."""
        for kernel in kernels_of(executor.step, self.context.device):
            self.context.row("kernels", batch=size.batch, beams=size.beams, way=way, **asdict(kernel))


def run(context: Context) -> None:
    """Measure summaries of BART with random weights in bf16."""
    with torch.no_grad():
        model = make_model(context, MODEL_TYPE, torch.bfloat16)
        louder(model)
        summarizer = Summarizer(context, model, torch.bfloat16)
    del model
    context.free()
    _Bench(context, _TOY if context.toy else Plan(), summarizer).run()
