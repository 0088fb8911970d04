"""What runs in a child: one part, or a look at the device."""

from __future__ import annotations

import faulthandler
import gc
import json
import math
import os
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.context import Cell, Context, Row, Setting, Skipped, reason_of
from benchmarks.gpu.plan import Part
from benchmarks.gpu.roofline import Rates

from .sessions import lead_session

Message = Row | Skipped | Setting | Rates


class Status(StrEnum):
    """How a part ended."""

    DONE = "done"
    SKIPPED = "skipped"
    """It cannot run here, or no time was left for it."""
    FAILED = "failed"
    """An exception came out of it."""
    DIED = "died"
    """Its process ended by a signal or an exit code."""
    TIMED_OUT = "timed out"
    CUT_OFF = "cut off"
    """The run was interrupted."""


WHERE: Final = signal.SIGUSR1
"""Has a child write down where it is."""
BROKEN: Final = (Status.FAILED, Status.DIED, Status.TIMED_OUT)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the child of a part ended."""

    status: Status
    reason: str = ""
    log: str = ""
    """The end of what it wrote, where it did not end well."""


@dataclass(frozen=True, kw_only=True)
class _Outlet:
    """Where a child's results go: checked before they leave it."""

    connection: Connection

    def __call__(self, message: Message) -> None:
        if isinstance(message, Row):
            message = Row(table=message.table, cells={name: _cell(value) for name, value in message.cells.items()})
        if isinstance(message, Setting):
            json.dumps(message.value)  # Raises where it is something else.
        self.connection.send(message)


def _cell(value: Any) -> Cell:
    """A cell as JSON can hold it; numbers of numpy and torch become Python's.

    Raises:
        TypeError: It is neither a word, a number, a truth value nor None.
    """
    if hasattr(value, "item"):
        value = value.item()
    if value is not None and not isinstance(value, str | int | float | bool):
        raise TypeError(f"a cell is a word, a number, a truth value or None, not {type(value).__name__}")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def nothing(_: Connection) -> None:
    """What a child does that only shows that children can start."""


def look(sender: Connection) -> None:
    """Send the name of the GPU, or why there is none."""
    lead_session()
    try:
        import torch

        if not torch.cuda.is_available():
            sender.send(("", "torch.cuda.is_available() is false"))
            return
        torch.ones(1, device="cuda").sum().item()
        sender.send((torch.cuda.get_device_name(0), ""))
    except Exception as error:  # The caller tells it.
        sender.send(("", reason_of(error)))


def work(sender: Connection, part: Part, about: Mapping[str, Any], log: Path) -> None:
    """Run a part in this process; what it prints goes into a file."""
    lead_session()
    with log.open("ab", buffering=0) as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    # A search for garbage takes a quarter of a second in what the server has imported, and a part makes dozens.
    gc.freeze()
    faulthandler.enable(2)
    # Asked for before it is killed. Not `dump_traceback_later`, whose thread reads frames that change meanwhile.
    faulthandler.register(WHERE, file=2, all_threads=False)
    try:
        part.run(Context(send=_Outlet(connection=sender), **about))
    except ModuleNotFoundError as error:
        missing = error.name or ""
        ours = missing.partition(".")[0] == __package__.partition(".")[0] and not missing.endswith(f".{part.name}")
        traceback.print_exc()
        sender.send(Ending(status=Status.FAILED if ours else Status.SKIPPED, reason=reason_of(error)))
    except Exception as error:  # The parts after it are worth having.
        traceback.print_exc()
        sender.send(Ending(status=Status.FAILED, reason=reason_of(error)))
