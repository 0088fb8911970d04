"""The commands of ``compose.yaml`` as processes of this machine: an article is answered to whoever has a key."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from infolens import Client
from tests.clients.loopback import free_port
from tests.compose.composed import ROOT, composed, words_of
from tests.serving.keys.postgres import Postgres, postgres

PATIENCE_S = 180.0
ARTICLE = (ROOT / "tests" / "articles" / "sports.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    """PostgreSQL with what the service's own scripts make at its first start."""
    with postgres() as running:
        running.sql("CREATE DATABASE infolens")
        running.sql(composed()["configs"]["databases"]["content"])
        yield running


def environment_of(name: str, database: Postgres) -> dict[str, str]:
    """The environment of a service; PostgreSQL is reached by its socket."""
    told = {key: str(value) for key, value in composed()["services"][name]["environment"].items()}
    password = "infolens:postgrespassword@postgresql/"
    return dict(os.environ) | {
        key: f"{value.replace(password, 'infolens@/')}?host={database.folder}" if password in value else value
        for key, value in told.items()
        if key != "HOME"
    }


@contextmanager
def running(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    except BaseException as error:
        error.add_note(log.read_text(encoding="utf-8", errors="replace")[-4000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def healthy(name: str, port: int, theirs: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a service's own health check, on the port that it has here, is content."""
    words = [word.replace(f":{theirs}/", f":{port}/") for word in words_of(name, "healthcheck")]
    assert words != words_of(name, "healthcheck")
    program = sys.executable if words[0] == "python" else shutil.which(words[0])
    if program is None:
        pytest.skip(f"{words[0]} is not here: the health check of {name} asks with it")
    until = time.monotonic() + PATIENCE_S
    while subprocess.run([program, *words[1:]], capture_output=True, check=False).returncode:
        assert process.poll() is None, "it ended"
        assert time.monotonic() < until, "its health check was never content"


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.system
def test_whoever_has_a_key_is_answered(database: Postgres, tmp_path: Path) -> None:
    environment = environment_of("infolens", database)
    program, *words = words_of("infolens")
    assert program == "python"
    ready = tmp_path / "ready.json"
    free = [part for kind in ("http", "grpc", "metrics") for part in (f"--{kind}-port", "0")]
    # The server starts for nobody: the first key is made before it.
    create = [sys.executable, "-m", "serving", "keys", "create", "newsroom", "--role", "read"]
    key = subprocess.run(create, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with running(
        [sys.executable, *words, *free, "--log-file", str(tmp_path / "triton.log"), "--ready-file", str(ready)],
        environment,
        tmp_path,
    ) as server:
        until = time.monotonic() + PATIENCE_S
        while not ready.exists():
            assert time.monotonic() < until, "it was never ready"
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.1)
                pytest.fail("it ended")
        http = json.loads(ready.read_text(encoding="utf-8"))["http_url"]
        port = int(http.rpartition(":")[2])
        healthy("infolens", port, 8000, server)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/analyze", data=b"{}", headers={"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 401
        refused.value.close()
        with Client(f"http://127.0.0.1:{port}", api_key=key.strip()) as client:
            report = client.analyze(ARTICLE)
        assert report.category is not None
        assert report.category.label == "Sports"
    assert server.returncode == 0


@pytest.mark.slow  # MLflow takes most of a minute to make its tables
def test_mlflow_keeps_runs_in_postgresql(database: Postgres, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    port = free_port()
    program, *words = words_of("mlflow")
    assert program == "mlflow"
    put = {"5000": str(port), "0.0.0.0": "127.0.0.1", "/var/lib/infolens/artifacts": str(tmp_path / "artifacts")}
    command = [sys.executable, "-m", "mlflow", *(put.get(word, word) for word in words)]
    with running(command, environment_of("mlflow", database), tmp_path) as server:
        healthy("mlflow", port, 5000, server)
        # A kubelet asks by the pod's address, which no list holds.
        probe = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers={"Host": "203.0.113.7:5000"})
        assert status_of(probe) == 200
        for host, code in (("mlflow:5000", 200), (f"localhost:{port}", 200), ("elsewhere", 403)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/create",
                data=json.dumps({"name": f"for {host}"}).encode(),
                headers={"Content-Type": "application/json", "Host": host},
            )
            assert status_of(request) == code, host
    assert not (ROOT / "mlflow.db").exists()


@pytest.mark.system
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not here: apt-get install prometheus")
    (mount,) = (one for one in composed()["services"]["prometheus"]["volumes"] if ":/etc/prometheus:" in one)
    folder = mount.partition(":")[0]
    if not (ROOT / folder).exists():
        pytest.skip(f"{folder} is not in this checkout")
    port = free_port()
    words = [
        word.replace("=/etc/prometheus/", f"={ROOT / folder}/").replace("=/prometheus", f"={tmp_path / 'data'}")
        for word in words_of("prometheus")
    ]
    with running([program, *words, f"--web.listen-address=127.0.0.1:{port}"], os.environ, tmp_path) as server:
        healthy("prometheus", port, 9090, server)
