"""CPU time of a server, of the load generator, and of all others on the machine, over one measurement."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psutil

from benchmarks.common.processes import ProcessWatch

from .service_times import CLIENT


class CpuTime:
    """Who used the processor while a block ran; read it afterwards.

    Args:
        pid: The launcher of a server.
    """

    cpu_s: dict[str, float]
    """By process of the server, and `CLIENT` for this one."""
    others_cores: float
    """Cores that other processes of the machine took, on average: what they take is missing in the measurement."""

    def __init__(self, pid: int) -> None:
        # No look at the memory in between: each takes some 30 ms of CPU.
        self._watch = ProcessWatch(pid, interval_s=3600)
        self._own = psutil.Process()

    @contextlib.contextmanager
    def running(self) -> Iterator[CpuTime]:
        """Watch while the block runs."""
        start_s, machine_s = time.monotonic(), _machine_s()
        with self._watch.running():
            first = self._own.cpu_times()
            yield self
            last = self._own.cpu_times()
        elapsed_s, machine_s = time.monotonic() - start_s, _machine_s() - machine_s
        self.cpu_s = {use.name: use.cpu_s for use in self._watch.used()}
        self.cpu_s[CLIENT] = last.user + last.system - first.user - first.system
        self.others_cores = max(0.0, machine_s - sum(self.cpu_s.values())) / elapsed_s


def _machine_s() -> float:
    """Time that the processor was at work for anyone, or taken away by the host of a virtual machine."""
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
