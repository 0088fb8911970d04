"""A supervisor with a real Triton, in a thread of the tests, and what they ask of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient import grpc as triton

from serving.arguments import ServerOptions
from serving.processes import Stub, stubs_of
from serving.supervisor.assembling import Plan, assemble_supervisor
from serving.supervisor.patience import Patience
from serving.supervisor.supervisor import Supervisor
from tests.serving.stand_in import tensor, write_model

DEADLINE_S = 90.0
SLEEPER = """
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.folder = Path(args["model_repository"])

    def execute(self, requests):
        while (self.folder / "hold").exists():
            time.sleep(0.01)
        while (self.folder / "burn").exists():
            pass
        answers = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "text")
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("answer", text.as_numpy())]))
        return answers
"""


def write_sleeper(repository: Path, *more: str) -> Path:
    """A model of the plain Python backend; files in its folder have it hang (``hold``) or work on and on (``burn``)."""
    version = write_model(
        repository, "sleeper", "python", [tensor("text", "STRING", "1")], [tensor("answer", "STRING", "1")], *more
    )
    (version / "model.py").write_text(SLEEPER)
    return version.parent


@dataclass
class Running:
    supervisor: Supervisor

    @property
    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.supervisor.state_file.read_text())
        return document

    @property
    def triton_pid(self) -> int:
        return self.supervisor.server.pid

    @property
    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.state["events"]]

    def stubs(self, model: str) -> list[Stub]:
        return [stub for stub in stubs_of(self.triton_pid) if stub.model == model]

    def kill(self, model: str, number: int = signal.SIGKILL) -> Stub:
        stub = self.stubs(model)[0]
        os.kill(stub.pid, number)
        return stub

    def mended(self, before: dict[str, Any]) -> bool:
        """Whether it serves again since then: healed, or started again where Triton ended itself over it.

        Triton 2.51 does so now and then (exit code -6), above all if the process died with a lock of the memory that
        they share.
        """
        state = self.state
        since = state["heals"] - before["heals"] + state["triton"]["restarts"] - before["triton"]["restarts"]
        return bool(since and state["ready"])

    def ask(self, model: str = "info_lens", text: bytes = b"a goal", timeout_s: float = 10.0) -> dict[str, Any] | None:
        """The answer; ``None`` when there was an error in its place."""
        tensor = triton.InferInput("text", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text]], object))
        with triton.InferenceServerClient(self.supervisor.server.grpc_address) as client:
            try:
                answer = client.infer(model, [tensor], client_timeout=timeout_s)
            except triton.InferenceServerException:
                return None
        # In how many rows the model ran depends on who asked beside this one, such as the supervisor.
        names = [output.name for output in answer.get_response().outputs if output.name != "rows"]
        return {name: answer.as_numpy(name).tolist() for name in names}


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> float:
    """Wait for a condition; how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < deadline_s, "waited too long"
        time.sleep(0.02)
    return time.monotonic() - begin


@contextmanager
def supervised(
    repository: Path, folder: Path, *, patience: Patience | None = None, plan: Plan | None = None, **options: Any
) -> Iterator[Running]:
    """A server under a supervisor; it is stopped at the end, and must not have ended before."""
    server = ServerOptions(
        repository=repository,
        http_port=None if plan is None else 0,
        grpc_port=0,
        metrics_port=0,
        log_file=folder / "triton.log",
        serve_what_loads=True,
        **options,
    )
    base = plan or Plan(server=server, door=False)
    supervisor = assemble_supervisor(replace(base, server=server, patience=patience or Patience()))
    ready, failed = threading.Event(), []

    def run() -> None:
        try:
            supervisor.start()
            ready.set()
            supervisor.watch()
        except Exception as error:
            failed.append(error)
        finally:
            ready.set()
            supervisor.stop()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(DEADLINE_S)
        if failed:
            raise failed[0]
        yield Running(supervisor)
    finally:
        supervisor.end()
        thread.join(DEADLINE_S)
    if failed:
        raise failed[0]


def is_free(url: str) -> bool:
    """Whether the port of an URL can be had."""
    host, port = url.partition("//")[2].partition("/")[0].split(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True
