"""Surroundings that users of such systems tripped over, and the right outcome of each: N1 to N5.

The numbers are those of the reports from which the cases were made. Each case is a row: what is done, what is said.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cli import main as benchmarks
from benchmarks.common.server import BenchmarkError
from benchmarks.common.wire import grpc_address, open_channel
from infolens._transports.url import parse_url
from tests.clients.loopback import free_port
from training.cli import main as training
from training.errors import SettingError
from training.loop.ray_session import start_ray
from training.tracking.client import Tracking, check_file

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's and SQLAlchemy's own


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, no variables of MLflow and Ray, and none left over."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that it is as before when the test is over, whatever MLflow does to it
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must fail with one line; gives that line."""

    def call(main: Any, *words: str) -> str:
        assert main(words) in (1, 2)
        err = capsys.readouterr().err
        assert "Traceback" not in err
        last: str = err.splitlines()[-1]
        assert last.startswith("error: ")
        return last

    return call


FIT = ("fit", "veracity", "--data", "no.csv", "--out", "out")
COMMANDS = {"fit": FIT, "tune": ("tune", *FIT[1:]), "record": ("record", "folder"), "promote": ("promote", "veracity")}
STORES = {
    "a folder": ("store", "MLflow keeps runs on a server or in a database, no more in a folder of files. Say"),
    "a file URL": ("file:///nowhere/store", "no more in a folder of files. Say --tracking-uri sqlite:////nowhere/"),
    "a database that has no folder": ("sqlite:////dev/null/x.db", "the database cannot be opened ("),
    "another kind": ("carrier://pigeon", "carrier://pigeon: "),
}


@pytest.mark.parametrize(("uri", "words"), STORES.values(), ids=STORES)
def test_n1_a_store_that_cannot_be_opened_is_one_line(said: Any, uri: str, words: str) -> None:
    line = said(training, *FIT, "--tracking-uri", uri)
    assert f"error: --tracking-uri {uri}: " in line
    assert words in line
    assert "leave it out to record in mlruns/, or say --tracking-uri none" in line


def test_n1_a_file_that_is_no_database_is_said_at_once_and_stays_as_it_was(said: Any, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    line = said(training, *FIT, "--tracking-uri", "sqlite:///notes.txt")
    assert f"error: --tracking-uri sqlite:///{file}: the database cannot be opened (" in line
    assert file.read_text() == "not a database " * 100


@pytest.mark.parametrize("command", COMMANDS)
def test_n1_every_command_says_it(said: Any, command: str) -> None:
    Path("folder").mkdir()
    for name in ("metrics.json", "history.json"):
        Path("folder", name).write_text("{}")
    assert "no more in a folder of files" in said(training, *COMMANDS[command], "--tracking-uri", "store")


def test_n1_the_own_store_in_a_place_that_cannot_be_written(said: Any) -> None:
    Path("mlruns").write_text("a file")
    assert "mlruns: runs are recorded there, but it cannot be opened (" in said(training, *FIT)


def test_n2_the_variable_is_named_where_it_counts(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "store")
    line = said(training, *FIT)
    assert line.startswith("error: MLFLOW_TRACKING_URI store: ")
    assert "unset it to record in mlruns/" in line
    assert "no.csv" in said(training, *FIT, "--tracking-uri", "none")


def test_n2_a_file_named_from_here_is_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    sent = Tracking.named("", experiment="infolens").anywhere
    monkeypatch.chdir("/")
    assert sent.resolved == f"sqlite:///{tmp_path}/x.db"
    for whole in ("sqlite:////data/x.db", "sqlite:///:memory:", "http://host:5000", "postgresql://host/runs"):
        assert Tracking(uri=whole).resolved == whole


def test_n2_a_database_is_made_in_a_folder_with_a_space_and_an_accent(tmp_path: Path) -> None:
    file = tmp_path / "Meine Läufe" / "x.db"
    for _ in range(2):  # a new one, and one that is there
        check_file(f"sqlite:///{file}")
    assert file.is_file()
    for other in ("http://host:5000", "sqlite:///:memory:", "store"):
        check_file(other)
    assert [*tmp_path.iterdir()] == [file.parent]


def test_n3_the_variable_is_named_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    asked: list[Any] = []

    def init(**options: Any) -> Any:
        asked.append(options["address"])
        if options["address"] != "local":
            raise ConnectionError("nobody is there\nat all")
        return SimpleNamespace(address_info={"session_dir": "session"})

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    start_ray()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6399")
    with pytest.raises(SettingError, match=r"^RAY_ADDRESS 127\.0\.0\.1:6399: no Ray cluster .* \(nobody is there\)"):
        start_ray()
    with pytest.raises(SettingError, match=r"^--ray-address auto: no Ray .*say --ray-address local to train on this"):
        start_ray("auto")
    start_ray("local")
    assert asked == ["local", "127.0.0.1:6399", "auto", "local"]


BELOW_A_FILE = "file/below"
WRITERS = {
    "fit": (*FIT[:-1], BELOW_A_FILE, "--tracking-uri", "none"),
    "tune": ("tune", *FIT[1:-1], BELOW_A_FILE, "--tracking-uri", "none"),
    "compare": ("compare", *FIT[1:-1], BELOW_A_FILE),
    "data prepare": ("data", "prepare", *FIT[1:-1], f"{BELOW_A_FILE}/x.parquet"),
    "data check": ("data", "check", *FIT[1:-2], "--json", f"{BELOW_A_FILE}/x.json"),
    "storage": (*FIT, "--tracking-uri", "none", "--set", f"storage={BELOW_A_FILE}"),
}


@pytest.mark.parametrize("command", WRITERS)
def test_n4_a_place_that_cannot_be_written_is_said_before_the_data_is_read(said: Any, command: str) -> None:
    Path("file").write_text("a file")
    line = said(training, *WRITERS[command])
    assert BELOW_A_FILE in line
    assert "cannot be written to" in line
    assert "name another" in line
    assert [*map(str, Path().iterdir())] == ["file"]  # and nothing is left behind


@pytest.mark.parametrize(("command", "option"), [("check", "--json"), ("prepare", "--out")])
def test_n4_a_folder_in_the_place_of_a_file_is_said_before_the_data_is_read(
    said: Any, command: str, option: str
) -> None:
    Path("x.parquet").mkdir()
    line = said(training, "data", command, *FIT[1:-2], option, "x.parquet")
    assert line == f"error: x.parquet: cannot be written to (it is a folder); name a file with {option}"
    assert [*map(str, Path().iterdir())] == ["x.parquet"]


SERVERS = {
    "latency": ("latency", "--server", "{grpc}"),
    "load": ("load", "--server", "{grpc}", "--rate", "1", "--seconds", "2", "--out", "out"),
    "load, closed loop": ("load", "--server", "{grpc}", "--find-max", "--seconds", "5", "--out", "out"),
    "soak": ("soak", "--server", "{grpc}", "--http-url", "{http}", "--out", "out"),
}


@pytest.mark.parametrize("command", SERVERS)
def test_n5_a_server_that_is_away_is_one_line(said: Any, command: str) -> None:
    port = free_port()
    urls = {"grpc": f"grpc://127.0.0.1:{port}", "http": f"http://127.0.0.1:{port}"}
    line = said(benchmarks, *(word.format(**urls) for word in SERVERS[command]))
    assert f"error: cannot reach {urls['grpc']} (" in line
    assert "start the server, or name another with --server" in line


async def test_n5_a_server_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BenchmarkError, match=r"cannot reach .* \(no answer within 0\.2 s\); start the server"):
            async with open_channel(url, timeout_s=0.2):
                pass


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("grpc://127.0.0.1:9", "127.0.0.1:9"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("grpc://triton.example.com/", "triton.example.com:8001"),
        ("grpc://[::1]:9", "[::1]:9"),
        ("[::1]", "[::1]:8001"),
    ],
)
def test_n5_addresses_are_read_as_the_client_reads_them(url: str, address: str) -> None:
    assert grpc_address(url) == parse_url(url).address == address


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "grpcs://host", "", "grpc://host:1/path", "grpc://my host"])
def test_n5_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BenchmarkError, match=r"asked over gRPC, at grpc://HOST:PORT, not at"):
        grpc_address(url)
