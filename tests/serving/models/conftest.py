"""A folder of models, and where it can be fetched from: an S3-compatible server, and one that fails at first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from serving.models.fetch import Fetch, Fetched, Progress, fetch
from serving.models.sums import write_sums

FILES = {
    "bart/1/model.onnx": b"\x08\x07" * 700_000,
    "bart/config.pbtxt": b'name: "bart"\n',
    "classify/1/.gitkeep": b"",
    "deployment.toml": b"a = 1\n",
    "xlnet/1/tokeniser ä.json": b"{}",
}


class Told:
    """Fetches without a pause; keeps what people were told, and how long a pause would have been."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pauses_s: list[float] = []

    def fetch(self, source: object, folder: Path, pin: str | None = None, jobs: int = 4) -> Fetched:
        asked = Fetch(source=str(source), folder=folder, pin=pin, jobs=jobs)
        return fetch(asked, Progress(self.lines.append), pause=self.pauses_s.append)


@pytest.fixture
def told() -> Told:
    return Told()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones and leftovers too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with its list."""
    folder = fill(tmp_path / "source", FILES)
    write_sums(folder)
    return folder


@pytest.fixture(scope="session")
def bucket() -> Iterator[Any]:
    """A bucket of a real S3-compatible server on a free port, which this process's environment names."""
    server_module = pytest.importorskip("moto.server")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        set_store(patch, f"http://127.0.0.1:{port}")
        made = boto3.session.Session().resource("s3").Bucket("models")
        made.create()
        yield made
    server.stop()


def set_store(patch: pytest.MonkeyPatch, url: str) -> None:
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        patch.setenv(name, value)


class Failing:
    """An HTTP server of a folder that answers each path with 503 first, breaks off next, and then is well.

    Attributes:
        url: Its address.
        asked: How often each path was asked for.
        fails: How many answers of each path are bad; set to 10**9 for a server that never gets well.
    """

    def __init__(self, folder: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.fails = 2
        failing = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

            def do_HEAD(self) -> None:
                self.send_response(404)
                self.end_headers()

            def do_GET(self) -> None:
                failing.asked[self.path] += 1
                count = failing.asked[self.path]
                content = (folder / unquote(self.path).removeprefix("/models/")).read_bytes()
                if count <= failing.fails and count % 2:
                    self.send_response(503)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + (count <= failing.fails)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def failing(source: Path) -> Iterator[Failing]:
    server = Failing(source)
    yield server
    server.close()
