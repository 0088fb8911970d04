"""Parts that end in all the ways in which a part can end; a child imports this module to run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib import import_module

from benchmarks.gpu.context import Context
from benchmarks.gpu.plan import Part
from benchmarks.gpu.roofline import Rates

RATES = Rates(copy_bytes_per_s=1e12, operations_per_s={"fp32": 1e13, "fp16": 1e14, "bf16": 1e14})


@dataclass(frozen=True, kw_only=True)
class Fake(Part):
    """A part whose name says what it does."""

    title: str = "a part of a test"
    share_s: float = 1.0

    def run(self, context: Context) -> None:
        BEHAVIOURS[self.name](context)


def fine(context: Context) -> None:
    context.row("steps", batch=1, step_ms=0.25)


def teaching(context: Context) -> None:
    context.setting("best_batch", 16)
    context.send(RATES)


def learning(context: Context) -> None:
    assert context.rates is not None
    context.row("learnt", **context.settings, copy_bytes_per_s=context.rates.copy_bytes_per_s)


def raising(context: Context) -> None:
    fine(context)
    raise ZeroDivisionError("nothing goes into nothing")


def crashing(context: Context) -> None:
    fine(context)
    os.kill(os.getpid(), signal.SIGSEGV)


def leaving(context: Context) -> None:
    sys.stdout.write("printed, not lost\n")
    sys.stdout.flush()
    sys.stderr.write("the last thing that it said\n")
    sys.stderr.flush()
    os._exit(3)


def _waiting() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["tail", "-f", "/dev/null"])


def hanging(context: Context) -> None:
    """Wait for ever, with a child that does so too."""
    context.row("processes", own=os.getpid(), child=_waiting().pid)
    threading.Event().wait()


def leftover(context: Context) -> None:
    """End, and leave a child that waits for ever."""
    context.row("processes", child=_waiting().pid)


def lacking(context: Context) -> None:
    import_module("a_package_that_nobody_has")


def broken(context: Context) -> None:
    import_module("benchmarks.gpu.a_module_that_is_gone")


def told(context: Context) -> None:
    context.row("about", device=context.device, toy=context.toy, left_s=context.left_s)


def odd(context: Context) -> None:
    import numpy as np

    context.row("odd", number=np.float32(0.5), count=np.int64(3), yes=np.bool_(True), nan=float("nan"), empty=None)
    context.attempt("odd", "a list in a cell", lambda: context.row("odd", number=[1]))
    context.attempt("odd", "an object as a setting", lambda: context.setting("odd", object()))


BEHAVIOURS = {
    behaviour.__name__: behaviour
    for behaviour in (
        fine, teaching, learning, raising, crashing, leaving, hanging, leftover, lacking, broken, told, odd
    )
}  # fmt: skip
