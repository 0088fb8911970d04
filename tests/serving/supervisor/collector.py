"""A real OpenTelemetry collector, `rotel`, on free ports; it passes on what it gets, so that a test sees it."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import pytest

from benchmarks.load.trace.otlp import SpanReceiver

_START_S = 60.0
_GZIP = b"\x1f\x8b"


class Beyond(SpanReceiver):
    """What lies beyond the collector, which packs what it sends even where it is told not to."""

    def take(self, body: bytes, *, is_json: bool) -> None:
        super().take(gzip.decompress(body) if body.startswith(_GZIP) else body, is_json=is_json)


@contextmanager
def collector(folder: Path, onward: str) -> Iterator[str]:
    """Run the collector; gives the URL at which it takes spans.

    Args:
        folder: For its log.
        onward: Where it sends them: a receiver of OTLP over HTTP.
    """
    executable = _executable()
    for attempt in range(5):  # somebody else may take a port between the question and its use
        ports = [_free_port() for _ in range(2)]
        log = folder / f"rotel-{attempt}.log"
        command = [
            str(executable),
            "start",
            *("--otlp-http-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}"),
            *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
            *("--otlp-exporter-endpoint", onward, "--disable-batching"),
            *("--pid-file", str(folder / "rotel.pid"), "--log-file", str(log)),
        ]
        with log.open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, cwd=folder)
            try:
                if _listens(process, ports[0]):
                    yield f"http://127.0.0.1:{ports[0]}/v1/traces"
                    return
            finally:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()
                process.wait()
    pytest.fail(f"the collector did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _executable() -> Path:
    try:
        files = metadata.files("rotel") or []
    except metadata.PackageNotFoundError:
        pytest.skip("rotel, an OpenTelemetry collector, is not installed")
    found = [Path(str(file.locate())) for file in files if file.name == "rotel-agent"]
    if not found:
        pytest.skip("this build of rotel has no collector for this machine")
    return found[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    end_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    return False
