"""A server to measure: one that runs already, or one that is started for the measurement through its command line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
"""Gets the reports, each kind in a folder of its own."""


class BenchmarkError(Exception):
    """A measurement cannot be made; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """A server that was started for a measurement."""

    grpc_url: str
    """Such as ``grpc://127.0.0.1:8001``."""
    http_url: str
    metrics_url: str
    """Triton's own, which tell of every model."""
    door_metrics_url: str
    """The door's own: what it counts, and the supervisor's restarts and heals."""
    triton_grpc_url: str
    """Triton behind the door, which tells of every model too."""
    pid: int
    """Process of the launcher; the server and its models are its children."""
    start_s: float
    """Seconds from the start to readiness."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server that is measured."""

    grpc_url: str
    metrics_url: str | None = None
    """None when they cannot be had: then there is no breakdown by model."""
    pid: int | None = None
    """Process of its launcher; None when it runs elsewhere: then nothing is said of its processes."""
    http_url: str | None = None
    """None when it is asked over gRPC alone."""
    door_metrics_url: str | None = None
    """None when they cannot be had: then nothing is said of restarts and heals."""

    @classmethod
    def of(cls, server: Started) -> Target:
        """The target that a started server is."""
        return cls(
            grpc_url=server.grpc_url,
            metrics_url=server.metrics_url,
            pid=server.pid,
            http_url=server.http_url,
            door_metrics_url=server.door_metrics_url,
        )


@contextmanager
def started_server(options: Sequence[str] = (), *, timeout_s: float = 300.0) -> Iterator[Started]:
    """``python -m serving`` on free ports with more ``options`` of its command line, ended afterwards.

    Raises:
        BenchmarkError: The server could not be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "log"
        ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        start = time.perf_counter()
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "serving", *ports, "--ready-file", str(ready), *options],
                cwd=ROOT,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait(process, ready, timeout_s)
                if not ready.exists():
                    raise BenchmarkError(
                        f"the server did not start:\n{log.read_text(encoding='utf-8', errors='replace')}"
                    )
                start_s = time.perf_counter() - start
                urls = json.loads(ready.read_text(encoding="utf-8"))
                yield Started(
                    grpc_url=urls["grpc_url"],
                    http_url=urls["http_url"],
                    metrics_url=urls["triton_metrics_url"],
                    door_metrics_url=urls["metrics_url"],
                    triton_grpc_url=urls["triton_grpc_url"],
                    pid=process.pid,
                    start_s=start_s,
                )
            finally:
                process.terminate()
                process.wait(timeout=60)


@contextmanager
def running_server(url: str | None, *, timeout_s: float = 300.0) -> Iterator[str]:
    """The gRPC URL of a server: ``url`` itself, or that of one that is started, ended afterwards.

    Raises:
        BenchmarkError: the server could not be started.
    """
    if url is not None:
        yield url
        return
    with started_server(timeout_s=timeout_s) as server:
        yield server.grpc_url


def _wait(process: subprocess.Popen[bytes], ready: Path, timeout_s: float) -> None:
    waited_s = 0.0
    while not ready.exists() and waited_s < timeout_s:
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            waited_s += 0.2
        else:
            return
