"""Being stopped: SIGTERM, as orchestrators send it, and a closed terminal end a command the same way as Ctrl-C does."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from .errors import StoppedError

_ECHO_S: Final = 0.5
"""Within this time the same signal is the same key: wrappers such as `make` pass on what the terminal has sent too."""


@dataclass(kw_only=True)
class Stopped:
    """Which signal stopped the block."""

    signal: int = signal.SIGINT


@contextmanager
def stoppable() -> Iterator[Stopped]:
    """Have SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block, as SIGINT does, and note which of them came.

    A SIGHUP that is ignored, as ``nohup`` has it, stays so.

    A second signal, while the block still puts things in order, ends the process at once, with the signal's exit code.
    Outside of a process's main thread, which alone may handle signals, nothing is changed.
    """
    stopped = Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    first_s: float | None = None

    def stop(number: int, _: Any) -> None:
        nonlocal first_s
        if first_s is None:
            first_s, stopped.signal = time.monotonic(), number
            raise KeyboardInterrupt
        if time.monotonic() - first_s > _ECHO_S:
            with suppress(OSError):
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"stopped at once, without tidying up\n")
            os._exit(128 + number)

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_APART = threading.local()


@contextmanager
def apart() -> Iterator[None]:
    """Keep the signals of this command from what it starts in the block, and the handlers that it has for them.

    Ctrl-C in a terminal and ``timeout`` send their signal to the whole process group of a command. What the command
    needs to come to an end, such as Ray, must not get it; so processes that Python code starts in the block with a
    ``preexec_fn``, as Ray's are, get groups of their own. Handlers of SIGINT and SIGTERM that the block sets, as Ray
    does, are replaced by those from before.
    """
    _hook()
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if in_main}
    _APART.on = True
    try:
        yield
    except SystemExit as left:  # what Ray's handler makes of SIGTERM
        if left.code in before and callable(handler := before[signal.Signals(left.code)]):
            handler(left.code, None)
        raise
    finally:
        _APART.on = False
        for number, handler in before.items():
            signal.signal(number, handler)


@functools.cache
def _hook() -> None:
    def leave() -> None:
        if getattr(_APART, "on", False):
            os.setpgid(0, 0)

    os.register_at_fork(after_in_child=leave)


@contextmanager
def going_on(how: str | Callable[[], str]) -> Iterator[None]:
    """Say how to go on when the block is interrupted.

    Args:
        how: One line, or what finds it when it is needed.

    Raises:
        StoppedError: The block was interrupted; the message is ``how``.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise StoppedError(how if isinstance(how, str) else how()) from stop
