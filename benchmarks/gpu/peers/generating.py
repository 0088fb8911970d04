"""``generate`` of ``transformers``: as it is, and compiled with static caches, in a process that can be ended.

Compiling cannot be interrupted, so it has a process and a session of its own, which is killed with the compilers that
it has started when its time is up. An alarm ends it where its parent was killed first.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import torch

from benchmarks.gpu.children.sessions import end_session, lead_session
from benchmarks.gpu.context import Context, Row, Setting, Skipped, reason_of
from benchmarks.gpu.models import make_model, random_ids
from benchmarks.gpu.roofline import Rates
from benchmarks.gpu.timing import synchronize, time_call
from benchmarks.gpu.trial import inputs_of

DTYPES: Final = {"fp32": torch.float32, "fp16": torch.float16}


class WrongLengthError(Exception):
    """A summary is not as long as was asked for, so it is other work."""


class EndedError(Exception):
    """The process ended before it had measured all; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is asked of every engine that writes summaries."""

    tokens_in: int = 512
    tokens_out: int = 60
    """Exactly, with the tokens that every summary begins and ends with."""
    beams: int = 4
    no_repeat_ngram: int = 3
    length_penalty: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a batch takes."""

    batch: int
    p50_ms: float
    first_ms: float
    """The first call, with what is compiled or allocated once."""


def measured(context: Context, batch: int, call: Callable[[], object]) -> Measured:
    """Time a call that takes seconds: few times, fewer where time runs out."""
    start = time.perf_counter()
    call()
    synchronize(context.device)
    first_ms = (time.perf_counter() - start) * 1e3
    limit_s = max(0.0, min(4.0, context.left_s / 2))
    timing = time_call(
        call, context.device, warmup=0 if context.toy else 1, runs=1 if context.toy else 5, limit_s=limit_s
    )
    return Measured(batch=batch, p50_ms=timing.median_ms, first_ms=first_ms)


def generate_call(context: Context, model: Any, search: Search, batch: int, **settings: Any) -> Callable[[], None]:
    """A call that writes the summaries of a batch.

    Args:
        context: Says the device.
        model: BART.
        search: How it searches.
        batch: Articles, without padding.
        settings: Further ones of ``generate``.
    """
    inputs = inputs_of("bart", random_ids(context, "bart", batch, search.tokens_in), padded=False)
    wanted = (batch, search.tokens_out)

    def call() -> None:
        with torch.inference_mode():
            found = model.generate(
                **inputs,
                num_beams=search.beams,
                min_length=search.tokens_out,
                max_length=search.tokens_out,
                no_repeat_ngram_size=search.no_repeat_ngram,
                length_penalty=search.length_penalty,
                early_stopping=True,
                do_sample=False,
                **settings,
            )
        if tuple(found.shape) != wanted:
            raise WrongLengthError(f"summaries of {wanted} tokens were asked for, and {tuple(found.shape)} came")

    return call


def compiled(
    context: Context,
    precision: str,
    search: Search,
    batches: Sequence[int],
    limit_s: float,
    collect: Callable[[Measured], None],
) -> None:
    """Measure ``generate`` with static caches and a compiled forward pass, in another process.

    Args:
        context: Says the device and whether the model is a small one.
        precision: A name of `DTYPES`.
        search: How it searches.
        batches: Articles a call, one after another.
        limit_s: The process is killed after so many seconds.
        collect: Takes each result as it comes.

    Raises:
        EndedError: It failed, died, or its time was up.
    """
    end_s = time.monotonic() + limit_s
    spawn = multiprocessing.get_context("spawn")  # A fork could not use the device.
    receiver, sender = spawn.Pipe(duplex=False)
    arguments = (sender, context.device, context.toy, precision, search, tuple(batches), limit_s)
    process = spawn.Process(target=_work, args=arguments)
    process.start()
    sender.close()
    try:
        for _ in batches:
            if not receiver.poll(max(0.0, end_s - time.monotonic())):
                raise EndedError(f"ended after {limit_s:.0f} s, when its time was up: compiling takes longer")
            try:
                message = receiver.recv()
            except EOFError:
                process.join()
                raise EndedError(f"the process ended with exit code {process.exitcode}") from None
            if isinstance(message, str):
                raise EndedError(message)
            collect(message)
    finally:
        end_session(process)
        receiver.close()


def _work(
    sender: Connection,
    device: str,
    toy: bool,
    precision: str,
    search: Search,
    batches: Sequence[int],
    limit_s: float,
) -> None:
    """What the other process does: send a `Measured` for each batch, or words about what failed."""
    lead_session()
    signal.alarm(math.ceil(limit_s) + 1)
    try:
        context = Context(device=device, toy=toy, deadline_s=time.monotonic() + limit_s, send=_nowhere)
        model = make_model(context, "bart", DTYPES[precision])
        # Not "reduce-overhead": beam search puts the caches elsewhere at every step, which CUDA graphs do not allow.
        model.forward = torch.compile(model.forward, fullgraph=True, backend="eager" if toy else "inductor")
        for batch in batches:
            call = generate_call(context, model, search, batch, cache_implementation="static")
            sender.send(measured(context, batch, call))
    except Exception as error:
        sender.send(reason_of(error))


def _nowhere(_: Row | Skipped | Setting | Rates) -> None:
    """Results go through the pipe."""
