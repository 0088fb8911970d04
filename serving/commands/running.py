"""How a command runs a supervisor, and ends it in order by Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from serving.errors import StartError

if TYPE_CHECKING:
    from serving.supervisor.supervisor import Supervisor


def interrupt_by_signals() -> None:
    """Have SIGTERM end this process as Ctrl-C does: through the same ``finally`` blocks."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def serve(supervisor: Supervisor, ready: Callable[[], None], *, ends: Callable[[], None] = lambda: None) -> int:
    """Start a supervisor, watch until a signal comes, and stop it; returns the exit code.

    Args:
        supervisor: Not started yet.
        ready: Called once it serves.
        ends: Called before anything is ended.

    Raises:
        ServingError: It cannot be started, or something ends again and again.
    """
    try:
        try:
            supervisor.start()
        except StartError:
            with contextlib.suppress(OSError, AttributeError):  # it ended before there was a log
                print("\n".join(["the end of Triton's log:", *supervisor.server.last_lines()]), file=sys.stderr)
            raise
        ready()
        # From here on a signal ends the watch, and nothing that the supervisor is just doing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.end())
        supervisor.watch()
        print("stopping (requests in flight may finish)", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopping", file=sys.stderr)
    finally:
        # Nor must one break off what ends the server.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        ends()
        supervisor.stop()
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler's form)
    raise KeyboardInterrupt
