"""A child leads a session, so that whatever it starts, such as compilers, is ended with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from typing import Any, Final

KILL_S: Final = 10.0
"""Maximum seconds until a process that was killed is gone."""


def lead_session() -> None:
    """Called in a child: lead a session, to be killed as one, and end it when the parent has ended, however it did.

    The device is free then.
    """
    os.setsid()
    threading.Thread(target=_follow, daemon=True).start()


def end_session(process: Any) -> None:
    """Called in the parent: kill a child and all of its session that is left."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # One that has not yet made its session.
    process.join(KILL_S)


def _follow() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)
