"""One reading process: started, asked, killed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any, Final

from serving.intake.confinement import MAX_MEMORY_BYTES
from serving.intake.errors import ReadError, ReadersAwayError
from serving.intake.frames import FrameError, pack, receive
from serving.intake.worker import OUT_OF_MEMORY
from serving.runtime import ROOT

_MIB: Final = 2**20
START_TIMEOUT_S: Final = 60.0
"""How long the libraries may take to load: one second where the machine has nothing else to do."""
_AFTER_S: Final = 2.0
"""A process that computes for too long is ended by the kernel; one that sleeps, so much later by the door."""
COMMAND: Final = (sys.executable, "-B", "-P", "-X", "utf8", "-m", "serving.intake.worker")
_HEAVY: Final = "it is built too intricately or is too large: save its text alone, and send that"
_ODD: Final = (
    "this file could not be read: it is broken, or built in an unusual way; save its text alone, and send that"
)

log = logging.getLogger(__name__)


class Child:
    """A process that reads one file at a time.

    Attributes:
        jobs: How many it was asked to read.
        grown_bytes: How much more memory it has than at its start.
    """

    def __init__(self, process: asyncio.subprocess.Process, memory_bytes: int) -> None:
        self.jobs = 0
        self.grown_bytes = 0
        if process.stdin is None or process.stdout is None:
            raise ValueError("a reading process is talked to by its standard input and output: open both as pipes")
        self._process = process
        self._requests, self._answers = process.stdin, process.stdout
        self._most_bytes = memory_bytes
        self._first_bytes = 0

    @classmethod
    async def start(cls, memory_bytes: int = MAX_MEMORY_BYTES, command: tuple[str, ...] = COMMAND) -> Child:
        """Start one and wait until it has loaded its libraries.

        Args:
            memory_bytes: How much address space it may have.
            command: What is started; its arguments come after it.

        Raises:
            ReadersAwayError: It cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(os.getpid()),
                str(memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise ReadersAwayError(_cannot_start(error.strerror or "no process")) from None
        child = cls(process, memory_bytes)
        try:
            head, _ = await asyncio.wait_for(receive(child._answers), START_TIMEOUT_S)
        except (asyncio.IncompleteReadError, FrameError, ConnectionError, TimeoutError):
            await child.end()
            raise ReadersAwayError(_cannot_start("it did not begin")) from None
        except BaseException:
            await child.end()
            raise
        if "failed" in head:
            await child.end()
            raise ReadersAwayError(_cannot_start(str(head["failed"])[:200]))
        child._first_bytes = _number(head, "memory_bytes")
        return child

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def ask(self, head: Mapping[str, Any], data: bytes, time_s: float) -> bytes:
        """Have it read something. Whoever is not answered must `end` it.

        Args:
            head: What to do with it.
            data: The file.
            time_s: How long that may take.

        Raises:
            ReadError: It cannot be read, or not within the limits; the words are for its sender.
        """
        self.jobs += 1
        try:
            async with asyncio.timeout(time_s + _AFTER_S):
                found, body = await self._exchange({**head, "cpu_s": int(time_s)}, data)
        except TimeoutError:
            raise ReadError(_too_long(time_s)) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ReadError(await self._why_it_died(time_s)) from None
        except FrameError as error:
            log.error("a reading process answered with %s", error)
            raise ReadError(_ODD) from None
        self.grown_bytes = _number(found, "memory_bytes") - self._first_bytes
        if "fault" in found:
            log.error("unexpected %s in a reading process", str(found["fault"])[:120])
            raise ReadError(_ODD)
        if "error" in found:
            raise ToldError(str(found["error"])[:1000])
        return body

    async def end(self) -> None:
        """Kill it, whatever it does; nothing of it is left."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._requests.close()
        await asyncio.shield(self._process.wait())

    async def _exchange(self, head: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        self._requests.write(pack(head, data))
        self._requests.write(data)
        await self._requests.drain()
        return await receive(self._answers)

    async def _why_it_died(self, time_s: float) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _AFTER_S)
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return _too_long(time_s)
        if code in (OUT_OF_MEMORY, -signal.SIGKILL):
            return f"reading this file takes more memory than one may take ({self._most_bytes // _MIB:,} MiB): {_HEAVY}"
        return _ODD


class ToldError(ReadError):
    """What a process found wrong with a file; it goes on by itself."""


def _too_long(time_s: float) -> str:
    return f"reading this file takes longer than one may take ({time_s:g} s): {_HEAVY}"


def _cannot_start(why: str) -> str:
    return f"files cannot be read now, as no process for it can be started ({why}): try again, or send the text itself"


def _number(head: Mapping[str, Any], name: str) -> int:
    value = head.get(name)
    return value if isinstance(value, int) else 0


def _environment() -> dict[str, str]:
    """What Python needs to find its modules; nothing of what the door's own environment holds, such as passwords."""
    places = [str(ROOT), *(place for place in sys.path if place)]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(places)),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        # Threads of numpy would take address space, on a machine of many cores all that there is.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
