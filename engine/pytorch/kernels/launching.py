"""How kernels are started: in a GPU's order, overlapping, or not at all while they are compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

_COMPILING: Final[ContextVar[bool]] = ContextVar("compiling", default=False)
_MOST_THREADS: Final = 16


@triton.jit
def let_next_begin(OVERLAP: tl.constexpr):
    """Let the next kernel begin: what it does before its own `wait_for_last` runs beside this one.

    Kernels that overlap are called programmatic dependent launches; a GPU of compute capability 9.0 or later has them.
    """
    if OVERLAP:
        gdc_launch_dependents()


@triton.jit
def wait_for_last(OVERLAP: tl.constexpr):
    """Wait until the kernel before has ended; every program of a kernel does, before it touches what others write."""
    if OVERLAP:
        gdc_wait()


def on(kernel: Any, grid: tuple[int, ...]) -> Callable[..., object]:
    """What starts a kernel on a grid of programs, or only has it compiled inside `compiling`."""
    call: Callable[..., object] = partial(kernel.warmup, grid=grid) if _COMPILING.get() else kernel[grid]
    return call


@contextmanager
def compiling(threads: int = 0) -> Iterator[None]:
    """No kernel is started: all that would be are compiled, several side by side; they are when this ends.

    Args:
        threads: So many; 0 for one on each core. With several, a kernel that cannot be compiled may be passed over,
            and is compiled again when it is started, which says why.

    Raises:
        Exception: A kernel cannot be compiled. Some versions of Python fail by chance where several threads read
            source code at a time (``AST constructor recursion depth mismatch``).
    """
    threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
    token = _COMPILING.set(True)
    try:
        with ExitStack() as stack:
            if threads > 1:
                pool = stack.enter_context(ThreadPoolExecutor(threads))
                stack.enter_context(triton.AsyncCompileMode(pool, ignore_errors=True))
            yield
    finally:
        _COMPILING.reset(token)
