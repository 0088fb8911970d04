"""Starting and ending the server: what goes wrong is told in one line, and nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.arguments import arguments, resolve
from serving.errors import PortError, RepositoryError, ServingError, StartError
from serving.launcher import ServerOptions, TritonServer, pick_ports
from serving.processes import SHARED_MEMORY, stubs_of
from serving.repository import check_repository
from serving.runtime import ROOT
from serving.triton_log import failure_reason
from tests.serving.conftest import free_ports
from tests.serving.graphs import write_vote
from tests.serving.stand_in import BATCHING, tensor, write_model
from tests.serving.supervisor.running import is_free, write_sleeper

DEADLINE_S = 120
FREE_PORTS = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


def one_model(repository: Path) -> Path:
    """A repository with the one model ``vote``."""
    names = ("input_ids", "attention_mask", "token_type_ids")
    version = write_model(
        repository,
        "vote",
        "onnxruntime",
        [tensor(name, "INT32") for name in names],
        [tensor("probabilities", "FP32", "2")],
        BATCHING,
    )
    write_vote(version / "model.onnx")
    return version


@contextmanager
def launched(repository: Path, folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """``python -m serving`` as a user starts it, ready."""
    ready = folder / "ready.json"
    words = ["--repository", str(repository), "--ready-file", str(ready), "--log-file", str(folder / "log"), *more]
    # Other tests see to the door; these are about the processes behind it.
    words.append("--no-door")
    launcher = subprocess.Popen(
        [sys.executable, "-m", "serving", *FREE_PORTS, *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: ready.exists() or launcher.poll() is not None)
        assert ready.exists(), launcher.communicate()[1]
        yield launcher, json.loads(ready.read_text())
    finally:
        launcher.kill()
        launcher.communicate()


def until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def group(pgid: int) -> list[int]:
    """The processes of a process group that are alive."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pgid and fields[0] != "Z":
            alive.append(int(stat.parent.name))
    return alive


def children(pid: int) -> list[int]:
    """The processes that the first thread of a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    one_model(tmp_path / "models")
    with launched(tmp_path / "models", tmp_path) as (launcher, ready):
        assert len(group(ready["server_pid"])) > 1
        launcher.send_signal(number)
        output = launcher.communicate(timeout=DEADLINE_S)[1]
        assert launcher.returncode == 0, output
        assert group(ready["server_pid"]) == []
        assert not (tmp_path / "ready.json").exists()
        assert "curl -s" in output
        assert "infolens analyze" in output


@pytest.mark.server
def test_a_killed_launcher_leaves_nothing(tmp_path: Path) -> None:
    """Not even a model's process that is stopped, or its shared memory; whoever starts it again finds its ports."""
    one_model(tmp_path / "models")
    with launched(tmp_path / "models", tmp_path) as (launcher, ready):
        stub = stubs_of(ready["server_pid"])[0]
        assert (SHARED_MEMORY / stub.region).exists()
        os.kill(stub.pid, signal.SIGSTOP)
        launcher.kill()
        launcher.wait()
        until(lambda: not group(ready["server_pid"]))
        until(lambda: not (SHARED_MEMORY / stub.region).exists())
        until(lambda: all(is_free(ready[kind]) for kind in ("http_url", "grpc_url", "metrics_url")))


@pytest.mark.server
def test_a_launcher_that_is_killed_at_its_start_leaves_nothing(tmp_path: Path) -> None:
    """Large models load for minutes, and that is when a machine runs out of memory."""
    version = write_sleeper(tmp_path / "models") / "1"
    (version / "model.py").write_text("import time\ntime.sleep(600)\n")
    words = ["--repository", str(tmp_path / "models"), "--log-file", str(tmp_path / "log"), "--no-door", *FREE_PORTS]
    launcher = subprocess.Popen([sys.executable, "-m", "serving", *words], cwd=ROOT, start_new_session=True)
    try:
        until(lambda: any(map(stubs_of, children(launcher.pid))))
        server = next(pid for pid in children(launcher.pid) if stubs_of(pid))
        region = stubs_of(server)[0].region
        assert (SHARED_MEMORY / region).exists()
        # The process that will clear up is there as soon as there is something to clear up.
        until(lambda: len(children(launcher.pid)) == 2)
    finally:
        launcher.kill()
        launcher.wait()
    until(lambda: not group(server))
    until(lambda: not (SHARED_MEMORY / region).exists())


@pytest.mark.server
def test_a_killed_server_is_started_again(tmp_path: Path) -> None:
    one_model(tmp_path / "models")
    with launched(tmp_path / "models", tmp_path) as (launcher, ready):
        os.kill(ready["server_pid"], signal.SIGKILL)
        until(lambda: json.loads((tmp_path / "ready.json").read_text())["server_pid"] != ready["server_pid"])
        now = json.loads((tmp_path / "ready.json").read_text())
        assert json.loads(Path(now["state_file"]).read_text())["ready"]
        assert now["grpc_url"] == ready["grpc_url"]
        assert group(ready["server_pid"]) == []
        launcher.send_signal(signal.SIGTERM)
        output = launcher.communicate(timeout=DEADLINE_S)[1]
        assert launcher.returncode == 0, output
        assert "Triton was ended by SIGKILL" in output
        assert "Triton serves again" in output
        assert group(now["server_pid"]) == []
        assert not Path(now["state_file"]).parent.exists()


@pytest.mark.server
def test_ready_file_is_private_and_carries_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOLENS_ADMIN_KEY", "a key of mine")
    one_model(tmp_path / "models")
    with launched(tmp_path / "models", tmp_path) as (_, ready):
        assert ready["admin_key"] == "a key of mine"
        assert (tmp_path / "ready.json").stat().st_mode & 0o077 == 0


@pytest.mark.server
def test_backends_import_nothing_from_where_the_launcher_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_model(tmp_path / "models")
    (tmp_path / "numpy.py").write_text("raise ImportError('a file of the user')")
    monkeypatch.chdir(tmp_path)
    with TritonServer(free_ports(Path("models"), tmp_path / "log")) as server:
        assert server.models == ["vote"]


@pytest.mark.server
def test_broken_model_is_told_with_tritons_reason(tmp_path: Path) -> None:
    (one_model(tmp_path / "models") / "model.onnx").write_bytes(b"not a model")
    server = TritonServer(free_ports(tmp_path / "models", tmp_path / "log"))
    with pytest.raises(StartError, match=r"model vote cannot be loaded: .*model\.onnx is damaged or not an ONNX model"):
        server.start()


@pytest.mark.server
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("probabilities", "answers", "the model has no output answers"),
        ("TYPE_FP32", "TYPE_FP64", "output probabilities is TYPE_FP32 in the model, but TYPE_FP64"),
        (
            "max_batch_size: 8",
            'max_batch_size: 8 parameters { key: "execution_mode" value { string_value: "7" } }',
            "execution_mode is one of",
        ),
        ("max_batch_size: 8", "max_batch_size: eight", "failed to read text proto|Expected integer"),
    ],
)
def test_wrong_configuration_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    one_model(tmp_path / "models")
    config = tmp_path / "models" / "vote" / "config.pbtxt"
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(StartError, match=message):
        TritonServer(free_ports(tmp_path / "models", tmp_path / "log")).start()


def test_a_host_is_an_address_or_a_name_that_has_one() -> None:
    assert resolve("127.0.0.1") == resolve("localhost") == "127.0.0.1"
    assert resolve("0.0.0.0") == "0.0.0.0"
    with pytest.raises(ServingError, match=r"--host no\.such\.host\.invalid is no address .*0\.0\.0\.0"):
        pick_ports(ServerOptions(host="no.such.host.invalid", http_port=0, grpc_port=0, metrics_port=0))


def test_tritons_http_is_off_unless_it_is_given_a_port() -> None:
    options = ServerOptions(http_port=None, grpc_port=0, metrics_port=0)
    ports = pick_ports(options)
    assert set(ports) == {"grpc", "metrics"}
    words = arguments(options, ports, Path("models"), Path("backends"), Path("caches"))
    assert "--allow-http=false" in words
    assert "--trace-config=rate=0" in words
    assert not [word for word in words if word.startswith("--http")]


def test_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=rf"port {port} for grpc .*--grpc-port \(0 picks a free one\)"):
            pick_ports(ServerOptions(http_port=0, grpc_port=port, metrics_port=0))


def test_free_ports_differ() -> None:
    assert len(set(pick_ports(ServerOptions(http_port=0, grpc_port=0, metrics_port=0)).values())) == 3


def test_incomplete_repositories_are_told(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no model repository at"):
        check_repository(tmp_path / "nowhere")
    with pytest.raises(RepositoryError, match="no model in"):
        check_repository(tmp_path)
    version = one_model(tmp_path)
    assert check_repository(tmp_path) == ["vote"]
    with pytest.raises(RepositoryError, match=r"configs/large\.pbtxt"):
        check_repository(tmp_path, "large")
    (version / "model.onnx").unlink()
    with pytest.raises(RepositoryError, match=r"model vote has no model\.onnx in .*: export it"):
        check_repository(tmp_path)
    config = version.parent / "config.pbtxt"
    config.write_text(config.read_text().replace('"onnxruntime"', '"summarizer"'))
    with pytest.raises(RepositoryError, match=r"model vote has no engine\.json in .*: export it"):
        check_repository(tmp_path)
    (version / "engine.json").touch()
    assert check_repository(tmp_path) == ["vote"]
    shutil.rmtree(version)
    with pytest.raises(RepositoryError, match="model vote has no version"):
        check_repository(tmp_path)


def test_failure_is_one_line_with_an_exit_code(tmp_path: Path) -> None:
    ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    command = [sys.executable, "-m", "serving", "--repository", str(tmp_path), *ports]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no model in")
    assert ended.stderr.count("\n") == 1


def test_reason_falls_back_to_the_last_line() -> None:
    assert failure_reason("one\ntwo\n\n") == "two"
    assert failure_reason("") == "it said nothing"
