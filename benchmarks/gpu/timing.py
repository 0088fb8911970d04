"""Times of work on a device: events on a GPU, the clock on a CPU; after a warm-up, and as medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from engine.pytorch.capture import capture


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long one call takes, milliseconds."""

    median_ms: float
    least_ms: float
    most_ms: float
    runs: int


def time_call(
    call: Callable[[], object], device: str, *, warmup: int = 3, runs: int = 20, limit_s: float = 5.0
) -> Timing:
    """Time a call on its own, several times.

    On a GPU a pair of events stands around each call and the device is idle before the next one, so the time is that of
    a call whose caller waits for its end.

    Args:
        call: The work; whatever it returns is dropped.
        device: ``cuda`` or ``cpu``.
        warmup: Calls before the first that counts.
        runs: Calls that count, unless the limit comes first; one at least.
        limit_s: No further call begins after so many seconds.
    """
    end = time.monotonic() + limit_s
    for _ in range(warmup):
        call()
    once = _once_cuda if device == "cuda" else _once_cpu
    times = [once(call)]
    while len(times) < runs and time.monotonic() < end:
        times.append(once(call))
    return Timing(median_ms=statistics.median(times), least_ms=min(times), most_ms=max(times), runs=len(times))


def _once_cpu(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _once_cuda(call: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    call()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after))


def graphed(call: Callable[[], object], device: str) -> Callable[[], object]:
    """The call as a CUDA graph, to be replayed; on a CPU the call itself.

    Its inputs and outputs are the tensors that it was captured with, and it must not wait for the device.

    Args:
        call: Work on tensors that stay where they are.
        device: ``cuda`` or ``cpu``.
    """
    return capture(call) if device == "cuda" else call


def synchronize(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
