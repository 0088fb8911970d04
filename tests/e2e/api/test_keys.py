"""The whole server, as it is started for others: who has no key, who has one, and who manages with one."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient import grpc as triton_grpc

from benchmarks.common.server import Started, started_server
from infolens import Client
from infolens.errors import InfoLensError
from serving.runtime import ROOT
from tests.conftest import ONNX_MODELS, REPOSITORY

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not all(list(REPOSITORY.glob(f"{name}/*/model.onnx")) for name in ONNX_MODELS), reason="no exported models"
    ),
]
ARTICLE = "The home side scored a late goal to win the cup final on Saturday."
BODY = json.dumps({"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [ARTICLE]}]}).encode()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('keys') / 'keys.sqlite3'}"


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


def serving(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def make(url: str, name: str, role: str) -> str:
    done = serving("keys", "create", name, "--role", role, "--keys-url", url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def key(url: str) -> str:
    return make(url, "newsroom", "read")


@pytest.fixture(scope="module")
def admin(url: str, key: str) -> str:
    return make(url, "boss", "admin")


@pytest.fixture(scope="module")
def server(url: str, admin: str, logs: Path) -> Iterator[Started]:
    """It listens on every address of this machine, so keys are needed without a word about them."""
    with started_server(["--host", "0.0.0.0", "--keys-url", url, "--log-file", str(logs / "triton.log")]) as server:
        yield server


def local(server_url: str) -> str:
    """The address of this machine, by a name that every machine has."""
    scheme, _, rest = server_url.partition("//")
    return f"{scheme}//127.0.0.1:{rest.partition('/')[0].rpartition(':')[2]}"


def ask(server: Started, path: str, key: str | None, body: bytes | None = None) -> tuple[int, Any]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{local(server.http_url)}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_server_for_others_does_not_start_without_keys(tmp_path: Path) -> None:
    done = serving(
        "--host", "0.0.0.0", "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0", "--cache", str(tmp_path)
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: callers need a key, since --host 0.0.0.0 lets other machines in, and ")
    assert "python -m serving keys create NAME --role read" in done.stderr
    assert "--no-keys" in done.stderr


def test_http_wants_a_key(server: Started, key: str) -> None:
    assert ask(server, "/v2/health/ready", None)[0] == 200
    assert ask(server, "/v2/models/info_lens/infer", None, BODY)[0] == 401
    assert ask(server, "/v2/models/info_lens", None)[0] == 401
    status, answer = ask(server, "/v2/models/info_lens/infer", key, BODY)
    assert status == 200
    assert {"summary", "category", "veracity"} <= {one["name"] for one in answer["outputs"]}
    article = json.dumps({"text": ARTICLE}).encode()
    assert ask(server, "/v1/analyze", None, article)[0] == 401
    status, answer = ask(server, "/v1/analyze", key, article)
    assert (status, "summary" in answer) == (200, True)


def test_grpc_wants_a_key(server: Started, key: str) -> None:
    with (
        Client(local(server.grpc_url)) as client,
        pytest.raises(InfoLensError, match="this server wants a key"),
    ):
        client.analyze(ARTICLE)
    tensor = triton_grpc.InferInput("text", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[ARTICLE.encode()]], object))
    with triton_grpc.InferenceServerClient(local(server.grpc_url).removeprefix("grpc://")) as client:
        answer = client.infer("classify", [tensor], headers={"authorization": f"Bearer {key}"})
        assert answer.as_numpy("category").shape == (1, 1)


def test_a_key_of_an_admin_manages_and_others_do_not(server: Started, key: str, admin: str) -> None:
    with triton_grpc.InferenceServerClient(local(server.grpc_url).removeprefix("grpc://")) as client:
        index = client.get_model_repository_index(headers={"authorization": f"Bearer {admin}"})
        assert "info_lens" in {one.name for one in index.models}
        with pytest.raises(triton_grpc.InferenceServerException, match="needs 'admin'") as told:
            client.get_model_repository_index(headers={"authorization": f"Bearer {key}"})
        assert told.value.status() == str(grpc.StatusCode.PERMISSION_DENIED)


def test_a_key_that_is_made_while_it_runs_opens_and_one_that_is_revoked_does_not(server: Started, url: str) -> None:
    late = make(url, "late", "read")
    assert ask(server, "/v2", late)[0] == 200
    assert serving("keys", "revoke", "late", "--keys-url", url).returncode == 0
    while (status := ask(server, "/v2", late)[0]) == 200:
        pass
    assert status == 401


def test_no_file_of_the_server_holds_a_key(server: Started, logs: Path, key: str, admin: str) -> None:
    files = [path for path in logs.rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        text = path.read_text("utf-8", "replace")
        assert key[9:] not in text, path
        assert admin[9:] not in text, path
    (door_log,) = logs.glob("door-*.log")
    assert '"key":"newsroom"' in door_log.read_text()
