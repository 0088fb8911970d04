"""A pod without a cluster: ``serving triton`` and ``serving door`` as processes, ended as the kubelet ends them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.runtime import ROOT

DEADLINE_S = 90.0


def begin(command: str, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start ``python -m serving COMMAND --run FOLDER/run``; what it says is added to ``FOLDER/COMMAND.log``."""
    with (folder / f"{command}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "serving", command, "--run", str(folder / "run"), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'clients'}{os.pathsep}{ROOT}"},
        )


def until(condition: Callable[[], Any], *alive: subprocess.Popen[bytes]) -> None:
    """Wait for a condition while some processes live."""
    until_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until_s, "waited too long"
        assert [one.args for one in alive if one.poll() is not None] == []
        time.sleep(0.02)


@dataclass(kw_only=True)
class Pod:
    """Both processes of a pod whose door listens."""

    folder: Path
    triton: subprocess.Popen[bytes]
    door: subprocess.Popen[bytes]
    urls: dict[str, Any]

    def leave(self) -> tuple[int, int]:
        """SIGTERM to the door, and to Triton when that has ended; the exit codes."""
        self.door.send_signal(signal.SIGTERM)
        door = self.door.wait(DEADLINE_S)
        self.triton.send_signal(signal.SIGTERM)
        return door, self.triton.wait(DEADLINE_S)


def begin_door(folder: Path, *words: str, http: int = 0, grpc: int = 0) -> subprocess.Popen[bytes]:
    """Start a door on free ports, or the given ones; its ready file is ``FOLDER/ready.json``."""
    ports = ("--http-port", str(http), "--grpc-port", str(grpc), "--metrics-port", "0")
    return begin("door", folder, *ports, "--ready-file", str(folder / "ready.json"), *words)


@contextmanager
def pod(folder: Path, repository: Path, *words: str, **ports: int) -> Iterator[Pod]:
    """A pod inside the block; whatever of it is left at the end is killed."""
    folder.mkdir(exist_ok=True)
    started = [begin("triton", folder, "--repository", str(repository), "--no-operators")]
    try:
        started.append(begin_door(folder, *words, **ports))
        until((folder / "ready.json").exists, *started)
        urls = json.loads((folder / "ready.json").read_text())
        yield Pod(folder=folder, triton=started[0], door=started[1], urls=urls)
    finally:
        for process in reversed(started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
