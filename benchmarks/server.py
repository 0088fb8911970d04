"""A server to measure: one that runs already, or one that is started for the measurement through its command line."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


class BenchmarkError(Exception):
    """A measurement cannot be made; the message says why and what to do."""


@contextmanager
def running_server(url: str | None, *, timeout_s: float = 300.0) -> Iterator[str]:
    """The gRPC URL of a server: ``url`` itself, or that of ``python -m serving`` on free ports, ended afterwards.

    Raises:
        BenchmarkError: the server could not be started.
    """
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "log"
        ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "serving", *ports, "--ready-file", str(ready)],
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
                yield json.loads(ready.read_text(encoding="utf-8"))["grpc_url"]
            finally:
                process.terminate()
                process.wait(timeout=60)


def _wait(process: subprocess.Popen[bytes], ready: Path, timeout_s: float) -> None:
    waited_s = 0.0
    while not ready.exists() and waited_s < timeout_s:
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            waited_s += 0.2
        else:
            return
