"""``python -m benchmarks locust --web``: Locust's page, and which users it starts."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from benchmarks.cli import main
from benchmarks.common.server import ROOT
from benchmarks.load.closed_loop.locust_run import USERS
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server, http_server

PATIENCE_S = 60


@contextmanager
def page(*options):
    """The address of Locust's page, once it answers."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "locust",
        "--web",
        "--web-port",
        str(port),
        "--clients",
        "2",
        *options,
    ]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if "Starting Locust" in line:  # after its page
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.stderr.read()


def ask(url, form=None):
    """What a page says, when it does: Locust says that it starts before it listens."""
    data = urllib.parse.urlencode(form, doseq=True).encode() if form is not None else None
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, data, timeout=PATIENCE_S) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            assert time.monotonic() < deadline_s


def test_the_page_runs_one_kind_of_users_or_what_it_ticks():
    with grpc_server(FakeTransport(lambda _: fake_report())) as grpc_url, page("--server-grpc", grpc_url) as url:
        html = ask(url)
        assert '"show_userclass_picker": false' in html.replace("&#34;", '"')
        assert json.loads(ask(f"{url}/swarm", {"user_count": 2, "spawn_rate": 2}))["success"]
        assert set(json.loads(ask(f"{url}/tasks"))["per_class"]) == {"InfoLensGRPC"}


def test_the_page_lets_choose_where_it_is_asked_to():
    with (
        http_server(FakeTransport(lambda _: fake_report())) as http_url,
        page("--server-http", http_url, "--class-picker") as url,
    ):
        html = ask(url).replace("&#34;", '"')
        assert '"show_userclass_picker": true' in html
        assert all(f'"{name}"' in html for name in USERS)
        ticked = {"user_count": 2, "spawn_rate": 2, "user_classes": ["CategoryHTTP"]}
        assert json.loads(ask(f"{url}/swarm", ticked))["user_classes"] == ["CategoryHTTP"]


@pytest.mark.parametrize("options", [["--class-picker"], ["--web", "--class-picker", "--users", "SummaryHTTP"]])
def test_a_choice_that_nobody_could_make_is_refused(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["locust", *options])
    assert "--class-picker" in capsys.readouterr().err
