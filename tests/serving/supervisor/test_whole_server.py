"""The whole server as a user starts it, with the committed models, while everything in it is killed under load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

from infolens import Client
from infolens.errors import InfoLensError
from serving.processes import SHARED_MEMORY, members, regions_of, stubs_of
from serving.runtime import ROOT
from serving.supervisor.assembling import has_door
from serving.triton_grpc import TritonClient, read_index
from tests.conftest import ONNX_MODELS, REPOSITORY
from tests.serving.supervisor.running import is_free, until

pytestmark = [
    pytest.mark.long,
    pytest.mark.server,
    pytest.mark.skipif(not has_door(), reason="the door is not there"),
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]

ARTICLE = "The home side scored a late goal to win the cup final on Saturday. The crowd sang until the night came. " * 3
BACKENDS = {
    "tokenizer": "bart_tokenizer",
    "onnxruntime": "distilbert",
    "detokenizer": "bart_text",
    "labels": "xlnet_labels",
    "fan_out": "info_lens",
    "evidence": "evidence",
}


class Server:
    """``python -m serving`` on free ports."""

    def __init__(self, folder: Path) -> None:
        self.ready_file = folder / "ready.json"
        ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        words = [*ports, "--ready-file", str(self.ready_file), "--log-file", str(folder / "triton.log")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serving", *words],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until(lambda: self.ready_file.exists() or self.process.poll() is not None)
        assert self.ready_file.exists(), self.process.communicate()[1]

    @property
    def ready(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.ready_file.read_text())
        return document

    @property
    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(Path(self.ready["state_file"]).read_text())
        return document

    def says(self) -> bool:
        """What the door says of it."""
        try:
            with urllib.request.urlopen(f"{self.ready['http_url']}/v2/health/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill_stub(self, model: str) -> Callable[[], bool]:
        before = self.state["heals"]
        stub = next(stub for stub in stubs_of(self.ready["server_pid"]) if stub.model == model)
        os.kill(stub.pid, signal.SIGKILL)
        return lambda: self.state["heals"] > before

    def kill_triton(self) -> Callable[[], bool]:
        before = self.state["triton"]["restarts"]
        os.kill(self.ready["server_pid"], signal.SIGKILL)
        return lambda: self.state["triton"]["restarts"] > before

    def kill_door(self) -> Callable[[], bool]:
        back = [event["kind"] for event in self.state["events"]].count("door back")
        os.kill(self.ready["door_pid"], signal.SIGKILL)
        return lambda: [event["kind"] for event in self.state["events"]].count("door back") > back


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("whole"))
    yield server
    server.process.kill()
    server.process.communicate()


class Callers:
    """Clients of the SDK with its default retries, who note what they get, and one who asks whether it is ready."""

    def __init__(self, server: Server) -> None:
        self.answers: list[Any] = []
        self.errors: list[str] = []
        self.others: list[Exception] = []
        self.not_ready = 0
        """How often the server has said that it is not ready, or has not answered that question."""
        self._end = threading.Event()
        urls = [server.ready[protocol] for protocol in ("grpc_url", "grpc_url", "http_url")]
        self._threads = [threading.Thread(target=self._call, args=(url,)) for url in urls]
        self._threads.append(threading.Thread(target=self._watch, args=(server,)))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, server: Server) -> None:
        while not self._end.wait(0.05):
            self.not_ready += not server.says()

    def _call(self, url: str) -> None:
        with Client(url) as client:
            while not self._end.is_set():
                try:
                    report = client.analyze(ARTICLE)
                    self.answers.append((report.summary, report.category.label, report.veracity.label))
                except InfoLensError as error:
                    self.errors.append(str(error))
                    self._end.wait(0.2)
                except Exception as error:  # told to the test
                    self.others.append(error)
                    return


def test_everything_dies_under_load_and_comes_back(server: Server) -> None:
    kills: list[Callable[[], Callable[[], bool]]] = [
        *(lambda model=model: server.kill_stub(model) for model in BACKENDS.values()),
        server.kill_door,
        server.kill_triton,
    ]
    regions = regions_of(server.ready["server_pid"])
    with Callers(server) as callers:
        until(lambda: len(callers.answers) > 3)
        for kill in kills:
            told = callers.not_ready
            back = kill()
            until(lambda back=back: back() and server.state["ready"] and server.says())
            assert callers.not_ready > told, "it said that it was ready all the while"
            seen = len(callers.answers)
            until(lambda seen=seen: len(callers.answers) > seen + 3)
    assert callers.others == []
    assert len(set(map(str, callers.answers))) == 1, "one article, one answer"
    assert not [error for error in callers.errors if not error.strip()]
    assert regions
    assert not [name for name in regions if (SHARED_MEMORY / name).exists()]


def test_the_door_and_triton_have_keys_of_their_own(server: Server) -> None:
    ready = server.ready
    for address, key, opens in (
        (ready["grpc_url"], ready["admin_key"], True),
        (ready["grpc_url"], ready["triton_admin_key"], False),
        (ready["triton_grpc_url"], ready["triton_admin_key"], True),
        (ready["triton_grpc_url"], ready["admin_key"], False),
    ):
        client = TritonClient(address.removeprefix("grpc://"), (ready["admin_header"], key))
        try:
            index = client.index(30.0)
            if opens:
                assert {entry.model for entry in read_index(index.result())} >= {"info_lens", "bart"}
            else:
                with pytest.raises(grpc.RpcError, match="This protocol is restricted"):
                    index.result()
        finally:
            client.close()


def test_the_command_waits_while_triton_is_started_again(server: Server, tmp_path: Path) -> None:
    files = [str(tmp_path / f"{number:03}.txt") for number in range(150)]
    for file in files:
        Path(file).write_text(ARTICLE, encoding="utf-8")
    words = [sys.executable, "-m", "infolens", "analyze", "--json", "--server", server.ready["grpc_url"], *files]
    said = tmp_path / "stderr"
    with (
        said.open("w", encoding="utf-8") as stderr,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT) as command,
    ):
        assert command.stdout is not None
        lines = [command.stdout.readline() for _ in range(10)]
        server.kill_triton()
        lines += command.stdout  # `communicate` would pass over lines that `readline` has read ahead
    complaints = said.read_text(encoding="utf-8")
    assert command.returncode == 0, complaints
    answers = [json.loads(line) for line in lines]
    assert [answer["file"] for answer in answers] == files
    assert len({answer["category"]["label"] for answer in answers}) == 1
    assert complaints
    assert all(line.startswith("infolens: waiting up to 30 s for the server: ") for line in complaints.splitlines())


def test_nothing_is_left_when_the_supervisor_is_killed(server: Server) -> None:
    """The last test of the file: it ends the server."""
    ready = server.ready
    pids = [ready["server_pid"], ready["door_pid"]]
    regions, folder = regions_of(ready["server_pid"]), Path(ready["state_file"]).parent
    server.process.kill()
    server.process.wait()
    until(lambda: not any(members(pid) for pid in pids))
    until(lambda: all(is_free(ready[kind]) for kind in ("http_url", "grpc_url", "metrics_url")))
    until(lambda: not any((SHARED_MEMORY / name).exists() for name in regions))
    until(lambda: not folder.exists())
