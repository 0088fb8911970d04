"""Start children, take what they send, and end them when their time is up."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.gpu.plan import Part

from .child import WHERE, Ending, Message, Status, look, nothing, work
from .sessions import KILL_S, end_session

PRELOAD: Final = (f"{__package__}.preload",)
_LOOK_S: Final = 180.0
"""Maximum seconds until a child has imported PyTorch and looked for the device."""
_WHERE_S: Final = 1.0
_LOG_CHARACTERS: Final = 4000
_TOLD_LINES: Final = 4
_FOREIGN: Final = re.compile(r"/[^\"\s]*/(?:site-packages|python3\.\d+)/")
_FRAMES: Final = "(most recent call first):\n"


class Children:
    """Runs parts in children, one at a time."""

    def __init__(self, preload: Sequence[str] = PRELOAD) -> None:
        self.method = "forkserver"
        """How children start; ``spawn`` where forked ones cannot use the device."""
        multiprocessing.set_forkserver_preload(list(preload))

    def look(self) -> str:
        """The name of the GPU. A child looks, so this process never imports PyTorch.

        Raises:
            BenchmarkError: There is none that PyTorch can use.
        """
        card, reason = self._look()
        if not card and "fork" in reason:
            self.method = "spawn"
            card, reason = self._look()
        if not card:
            raise BenchmarkError(
                f"a run needs a GPU that PyTorch can use, and finds none: {reason}; `--dry-run` goes through all parts "
                "with small models on the processor"
            )
        return card

    def _look(self) -> tuple[str, str]:
        receiver, process = self._start(look)
        with receiver:
            try:
                answer: tuple[str, str] = receiver.recv() if receiver.poll(_LOOK_S) else ("", "nothing within minutes")
            except EOFError:
                process.join(KILL_S)
                answer = "", f"the process that looked for it {_death(process)}"
            finally:
                end_session(process)
        return answer

    def warm(self) -> None:
        """Wait until the server has imported what all parts need."""
        receiver, process = self._start(nothing)
        with receiver:
            process.join(_LOOK_S)

    def run(self, part: Part, about: Mapping[str, Any], until_s: float, collect: Callable[[Message], None]) -> Ending:
        """Run a part; it is killed when its time is up, and also when ``collect`` raises.

        Args:
            part: What to run.
            about: Arguments of `Context`, all but ``send``.
            until_s: When it is killed, by `time.monotonic`.
            collect: Takes each message as it comes.
        """
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            receiver, process = self._start(work, part, about, log)
            began_s = time.monotonic()
            failed: list[Ending] = []

            def take(limit_s: float) -> None:
                for message in _messages(receiver, process.sentinel, limit_s):
                    if isinstance(message, Ending):
                        failed.append(message)
                    else:
                        collect(message)

            try:
                take(until_s)
                process.join(max(0.0, until_s - time.monotonic()))
                late = process.exitcode is None
                if late:
                    _ask_where(process, log)
            finally:
                end_session(process)
            with receiver:
                take(time.monotonic() + KILL_S)  # What it had sent and nobody had read.
            written = _readable(log)
        if failed:
            return Ending(status=failed[0].status, reason=failed[0].reason, log=written)
        if late:
            reason = f"ended after {time.monotonic() - began_s:.0f} s, when its time was up"
            return Ending(status=Status.TIMED_OUT, reason=_with(reason, _hung_at(written)), log=written)
        if process.exitcode:
            return Ending(status=Status.DIED, reason=_with(_death(process), _last(written)), log=written)
        return Ending(status=Status.DONE)

    def _start(self, target: Callable[..., None], *arguments: Any) -> tuple[Connection, Any]:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        # The contexts of multiprocessing have no common type with Process.
        context: Any = multiprocessing.get_context(self.method)
        process = context.Process(target=target, args=(sender, *arguments))
        process.start()
        sender.close()  # The child's is the only one now, so its end is seen.
        return receiver, process


def _messages(receiver: Connection, sentinel: int, until_s: float) -> Iterator[Message | Ending]:
    """What a child sends until it has ended, or until a time."""
    while (left_s := until_s - time.monotonic()) > 0 and receiver in wait([receiver, sentinel], left_s):
        try:
            yield receiver.recv()
        except EOFError:
            return


def _ask_where(process: Any, log: Path) -> None:
    """Have a child that is late write down where it is, and give it a moment to."""
    before, until_s = log.stat().st_size if log.exists() else 0, time.monotonic() + _WHERE_S
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, WHERE)
    while log.exists() and log.stat().st_size == before and time.monotonic() < until_s:
        process.join(0.02)


def _death(process: Any) -> str:
    code = process.exitcode
    if code is None:
        return "does not end"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _readable(log: Path) -> str:
    """The end of a log, with the paths of other packages cut to what all machines have in common."""
    if not log.exists():
        return ""
    text = log.read_bytes()[-16 * _LOG_CHARACTERS :].decode(errors="replace")
    # First of all, since it is one line of thousands of characters where many libraries are loaded.
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("Extension modules:"))
    return _FOREIGN.sub("", "\n".join(lines)[-_LOG_CHARACTERS:]).replace(f"{ROOT}/", "")


def _last(log: str) -> str:
    return " / ".join(line.strip() for line in log.splitlines()[-_TOLD_LINES:])


def _hung_at(log: str) -> str:
    """The innermost calls of the main thread, which is the last one that `faulthandler` writes down."""
    _, found, calls = log.rpartition(_FRAMES)
    return " / ".join(line.strip() for line in calls.splitlines()[:_TOLD_LINES]) if found else _last(log)


def _with(reason: str, words: str) -> str:
    return f"{reason}: {words}" if words else reason
