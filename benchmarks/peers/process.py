"""The parent's side of a worker process: start it, ask it, and watch what it uses while it waits."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, cast

import numpy.typing as npt
import psutil

from benchmarks.common.environments import last_lines
from benchmarks.common.server import ROOT, BenchmarkError

MODULE: Final = "benchmarks.peers.worker"
_POLL_S: Final = 0.05
_QUIET_SHARE: Final = 0.05
"""A process that uses less than this of one core counts as idle."""


class WorkerError(BenchmarkError):
    """A worker could not do what it was asked for; the message carries its own words."""


class Worker:
    """One engine in a process of its own; ends with the ``with`` block.

    Attributes:
        load_s: Seconds to load the model, without Python's imports.
        versions: Versions of the engine's packages.
        notes: What a reader should know about the engine.
    """

    load_s: float
    versions: dict[str, str]
    notes: str

    def __init__(
        self,
        python: Path,
        job: Mapping[str, Any],
        *,
        log: Path,
        environment: Mapping[str, str],
        timeout_s: float = 600.0,
    ) -> None:
        """Start the process and wait until the model is loaded.

        Args:
            python: The interpreter of the environment that has the engine.
            job: What is loaded, and with how many threads; see `worker`.
            log: Where what it prints goes.
            environment: Its environment variables.
            timeout_s: How long the load and each turn may take.

        Raises:
            WorkerError: The engine cannot be loaded.
        """
        self._timeout_s, self._log = timeout_s, log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as sink:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [str(python), "-m", MODULE],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
                encoding="utf-8",
            )
        self._stdin, self._stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.watched = [self._process.pid]
        """Processes whose memory and CPU time count for this engine, with their children."""
        try:
            ready = self._ask(job)
        except BaseException:
            self.close()
            raise
        self.load_s, self.versions, self.notes = ready["load_s"], ready["versions"], ready["notes"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        inputs: Mapping[str, npt.NDArray[Any]],
        generation: Mapping[str, Any] | None,
        *,
        minimum_s: float = 0.0,
        maximum_runs: int = 1,
    ) -> tuple[list[float], list[list[Any]]]:
        """Run the engine until ``minimum_s`` have passed, ``maximum_runs`` times at most, but at least once.

        Returns:
            The seconds of each run, and the rows of the last answer.

        Raises:
            WorkerError: The engine failed, ended, or took too long.
        """
        arrays = {name: {"dtype": str(array.dtype), "rows": array.tolist()} for name, array in inputs.items()}
        turn = {"inputs": arrays, "generation": generation, "minimum_s": minimum_s, "maximum_runs": maximum_runs}
        answer = self._ask(turn)
        return answer["seconds"], answer["answer"]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._stdout.close()

    def _read(self) -> None:
        for line in self._stdout:
            self._lines.put(line)
        self._lines.put("")

    def _ask(self, document: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._stdin.write(json.dumps(document) + "\n")
            self._stdin.flush()
        except OSError:
            raise self._ended() from None
        try:
            line = self._lines.get(timeout=self._timeout_s)
        except queue.Empty:
            self._process.kill()
            raise WorkerError(f"no answer within {self._timeout_s:g} s; its output is in {self._log}") from None
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _ended(self) -> WorkerError:
        code = self._process.wait()
        how = f"by signal {-code} (9: out of memory?)" if code < 0 else f"with exit code {code}"
        words = last_lines(self._log.read_text(encoding="utf-8", errors="replace"), 1)
        return WorkerError(f"the process ended {how}: {words or 'it said nothing'}")


def _family(pids: Sequence[int]) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            found |= {process.pid: process for process in (parent, *parent.children(recursive=True))}
    return list(found.values())


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time that the processes and their children have used, seconds."""
    total = 0.0
    for process in _family(pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def peak_bytes(pids: Sequence[int]) -> int:
    """The peak resident memory (VmHWM) of the processes and their children, summed, in bytes."""
    total = 0
    for process in _family(pids):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1]) * 1024
    return total


def settle(pids: Sequence[int], *, timeout_s: float = 2.0) -> bool:
    """Wait until the processes are idle, so that threads that still spin do not take the next engine's time.

    Returns:
        Whether they are; False after ``timeout_s``.
    """
    end = time.monotonic() + timeout_s
    before = cpu_s(pids)
    while time.monotonic() < end:
        time.sleep(_POLL_S)
        now = cpu_s(pids)
        if now - before <= _QUIET_SHARE * _POLL_S:
            return True
        before = now
    return False
