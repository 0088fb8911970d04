"""A step of training of each model at full size, and what a step costs for itself and for each article."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from benchmarks.common.shapes import shape_of
from benchmarks.gpu.context import Context
from benchmarks.gpu.models import SEED, make_model, random_ids
from benchmarks.gpu.roofline import times_floor, training_ms
from benchmarks.gpu.timing import time_call
from benchmarks.gpu.trial import inputs_of

TABLE: Final = "training"
COSTS: Final = "training_costs"
_AT_LEAST_S: Final = 2.0
_MAX_NORM: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that is trained."""

    model_type: str
    tokens_in: int
    tokens_out: int = 0
    """Tokens of a text to be learned; 0 for a classifier."""
    labels: int = 0
    """How many a classifier has."""
    batches: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a model is trained, in the words of a recipe of `training`."""

    precision: str = "bf16"
    """``fp32`` without TF32, or ``bf16``: products alone, by autocast."""
    checkpointing: bool = False
    optim: str = "adamw_torch"
    """``adamw_torch``, as recipes have it unless told otherwise, or ``adamw_torch_fused``."""


SUBJECTS: Final = (
    Subject(model_type="bart", tokens_in=512, tokens_out=64, batches=(2, 8, 16)),
    Subject(model_type="distilbert", tokens_in=128, labels=10, batches=(16, 64, 128)),
    Subject(model_type="xlnet", tokens_in=512, labels=2, batches=(4, 16, 32)),
)
WAYS: Final = (
    Way(),
    Way(checkpointing=True),
    Way(precision="fp32"),
    Way(optim="adamw_torch_fused"),
    Way(precision="fp32", checkpointing=True),
)
TOY_BATCHES: Final = (1, 2)
FUSED: Final = {"adamw_torch": None, "adamw_torch_fused": True}
"""The argument ``fused`` of AdamW, by name of the optimizer; None leaves the choice to PyTorch, as Trainer does."""
AUTOCAST: Final = {"fp32": False, "bf16": True}


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a step costs: a constant, and a time for each article."""

    fixed_ms: float
    sample_ms: float

    def step_ms(self, batch: int) -> float:
        """Time of a step with so many articles."""
        return self.fixed_ms + self.sample_ms * batch


def fit(steps_ms: dict[int, float]) -> Costs:
    """The costs that explain measured steps best, by batch; neither is negative, as ``training plan`` has it."""
    batches, times = np.array(list(steps_ms), dtype=float), np.array(list(steps_ms.values()))
    if len(steps_ms) > 1:
        slope, constant = np.polyfit(batches, times, 1)
        if slope >= 0 and constant >= 0:
            return Costs(fixed_ms=float(constant), sample_ms=float(slope))
    return Costs(fixed_ms=0.0, sample_ms=float(statistics.median(times / batches)))


def largest_error(steps_ms: dict[int, float]) -> float:
    """How far a step is off at most when it is predicted from the other ones, as a share of what was measured."""
    errors = []
    for batch, measured_ms in steps_ms.items():
        others = {other: ms for other, ms in steps_ms.items() if other != batch}
        errors.append(abs(fit(others).step_ms(batch) / measured_ms - 1))
    return max(errors)


class _Bench:
    """A model with its optimizer."""

    def __init__(self, context: Context, subject: Subject, way: Way) -> None:
        torch.set_float32_matmul_precision("highest")
        self.context, self.subject, self.way = context, subject, way
        self.shape = shape_of(subject.model_type)
        self.tokens_in = 16 if context.toy else subject.tokens_in
        self.tokens_out = min(subject.tokens_out, 8) if context.toy else subject.tokens_out
        entries = {"num_labels": subject.labels} if subject.labels else {}
        self.model = make_model(context, subject.model_type, torch.float32, **entries).train()
        if way.checkpointing:
            _checkpoint(self.model)
        self.parameters = [one for one in self.model.parameters() if one.requires_grad]
        self.loss = torch.tensor(math.nan)
        fused = FUSED[way.optim]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=3e-5, betas=(0.9, 0.98), weight_decay=0.01, fused=fused)

    def inputs(self, batch: int) -> dict[str, torch.Tensor]:
        """Random articles without padding, and random labels or texts to be learned."""
        ids = random_ids(self.context, self.subject.model_type, batch, self.tokens_in)
        inputs = inputs_of(self.subject.model_type, ids, padded=False)
        last = self.subject.labels or self.context.sizes(self.shape)[self.shape.vocabulary]
        shape = (batch, self.tokens_out) if self.tokens_out else (batch,)
        labels = torch.randint(last, shape, generator=torch.Generator().manual_seed(SEED))
        return inputs | {"labels": labels.to(self.context.device)}

    def step(self, inputs: dict[str, torch.Tensor]) -> None:
        """One step of the optimizer."""
        with torch.autocast(self.context.device, torch.bfloat16, enabled=AUTOCAST[self.way.precision]):
            loss: torch.Tensor = self.model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, _MAX_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = loss.detach()

    def measure(self, batch: int) -> float:
        """Time a step, send a row, and return the milliseconds.

        Raises:
            FloatingPointError: The loss is no number.
        """
        context = self.context
        self.optimizer.zero_grad(set_to_none=True)  # A batch that did not fit leaves gradients behind.
        if context.cuda:
            torch.cuda.reset_peak_memory_stats()
        inputs = self.inputs(batch)
        runs, warmup = (1, 1) if context.toy else (5, 2)
        step_ms = time_call(partial(self.step, inputs), context.device, warmup=warmup, runs=runs, limit_s=0.8).median_ms
        memory_gb = torch.cuda.max_memory_allocated() / 1e9 if context.cuda else None
        loss = float(self.loss)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} after some steps: not measured")
        floor_ms = training_ms(
            self.shape,
            context.sizes(self.shape),
            batch,
            self.tokens_in,
            self.tokens_out,
            self.way.precision,
            context.rates,
            parameters=self.weights,
            checkpointing=self.way.checkpointing,
        )
        context.row(
            TABLE,
            **self.names,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            batch=batch,
            step_ms=step_ms,
            samples_per_s=1e3 * batch / step_ms,
            memory_gb=memory_gb,
            floor_ms=floor_ms,
            times_floor=times_floor(step_ms, floor_ms),
            loss=loss,
        )
        return step_ms

    @property
    def weights(self) -> int:
        """How many are trained."""
        return sum(one.numel() for one in self.parameters)

    @property
    def names(self) -> dict[str, str | bool]:
        """The first cells of a row of either table."""
        way = self.way
        return {
            "model": self.shape.name,
            "precision": way.precision,
            "checkpointing": way.checkpointing,
            "optimizer": way.optim,
        }

    def costs(self, steps_ms: dict[int, float]) -> None:
        """Send what a step costs, and the options by which ``python -m training plan`` takes it.

        ``--article-ms`` is all of the time of an article, the constant's share of the largest batch included, since
        ``plan`` adds none to it.
        """
        costs, batch = fit(steps_ms), max(steps_ms)
        article_ms = steps_ms[batch] / batch
        self.context.row(
            COSTS,
            **self.names,
            fixed_ms=costs.fixed_ms,
            sample_ms=costs.sample_ms,
            largest_error=largest_error(steps_ms),
            batches=", ".join(map(str, steps_ms)),
            plan_options=f"--batch {batch} --article-ms {article_ms:.4g} --parameters-m {self.weights / 1e6:.4g}",
        )


def _checkpoint(model: Any) -> None:
    """Have a model compute its activations twice.

    Raises:
        ValueError: It cannot.
    """
    if not model.supports_gradient_checkpointing:
        raise ValueError(f"transformers has no gradient checkpointing for {model.config.model_type}")
    # Later releases of transformers call it by this name and warn of the other.
    found: Callable[[dict[str, bool]], None] | None = getattr(model, "activation_checkpointing_enable", None)
    (found or model.gradient_checkpointing_enable)({"use_reentrant": False})


def _words(subject: Subject, way: Way) -> str:
    checkpointing = ", checkpointing" if way.checkpointing else ""
    return f"{shape_of(subject.model_type).name}, {way.precision}{checkpointing}, {way.optim}"


def _measure(context: Context, subject: Subject, way: Way, batches: Sequence[int]) -> None:
    bench, steps_ms, at_least_s = _Bench(context, subject, way), {}, 0 if context.toy else _AT_LEAST_S
    for batch in batches:
        words = f"{_words(subject, way)}, batch {batch}"
        step_ms = context.attempt(TABLE, words, partial(bench.measure, batch), at_least_s=at_least_s)
        if step_ms:
            steps_ms[batch] = step_ms
    if len(steps_ms) < len(batches):
        context.skip(COSTS, _words(subject, way), f"{len(steps_ms)} of {len(batches)} batches were measured")
        return
    bench.costs(steps_ms)


def run(context: Context) -> None:
    """Measure every model in every way; what is trained most comes first."""
    for way in WAYS:
        for subject in SUBJECTS:
            batches = TOY_BATCHES if context.toy else subject.batches
            call = partial(_measure, context, subject, way, batches)
            context.attempt(TABLE, _words(subject, way), call, at_least_s=_AT_LEAST_S)
