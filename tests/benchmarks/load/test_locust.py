import csv
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.common.server import ROOT, BenchmarkError
from benchmarks.load.closed_loop.command import document, markdown
from benchmarks.load.closed_loop.figures import LocustFailure, LocustFigures, read_failures, read_figures
from benchmarks.load.closed_loop.locust_run import LOCUSTFILE, USERS, LocustConfig, LocustResult, run_locust, user_name
from infolens import ServerOverloadedError
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server, http_server

PERCENTILES = ["50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"]
HEADER = ["Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Requests/s", *PERCENTILES]
ANSWERED = ["gRPC", "info_lens", "100", "2", "7", "12.5", *map(str, range(10, 21))]


def write(path: Path, *rows: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as sink:
        csv.writer(sink).writerows(rows)
    return path


def short(folder: Path, **changes: object) -> LocustConfig:
    return LocustConfig(**{"clients": 2, "seconds": 1, "ramp_s": 0.0, "out": folder, **changes})


def test_the_figures_are_those_of_the_csv(tmp_path):
    path = write(tmp_path / "locust_stats.csv", HEADER, ANSWERED, ["", "Aggregated", *ANSWERED[2:]])
    one, together = read_figures(path)
    assert one == LocustFigures(
        protocol="gRPC",
        name="info_lens",
        requests=100,
        failures=2,
        requests_per_s=12.5,
        p50_ms=10.0,
        p90_ms=14.0,
        p99_ms=17.0,
        p999_ms=18.0,
        max_ms=20.0,
    )
    assert (together.name, together.protocol, together.requests) == ("all", "", 100)


@pytest.mark.parametrize(
    ("requests", "failures", "cell"),
    [("0", "0", "N/A"), ("40", "40", "0")],
    ids=["no request", "only failures without a time"],
)
def test_where_no_request_has_a_time_there_is_no_percentile(tmp_path, requests, failures, cell):
    row = ["gRPC", "info_lens", requests, failures, "0", "0.0", *[cell] * len(PERCENTILES)]
    (one,) = read_figures(write(tmp_path / "locust_stats.csv", HEADER, row))
    assert (one.p50_ms, one.p999_ms, one.max_ms) == (None, None, None)


def test_a_csv_of_another_form_is_an_error_and_so_is_none(tmp_path):
    with pytest.raises(BenchmarkError, match=r"stats.csv is not as Locust .*99\.9%.*requirements/dev.txt"):
        read_figures(write(tmp_path / "stats.csv", [c for c in HEADER if c != "99.9%"], ANSWERED[:-1]))
    with pytest.raises(BenchmarkError, match=r"did not write none\.csv"):
        read_figures(tmp_path / "none.csv")


def test_the_most_frequent_failure_comes_first(tmp_path):
    rows = [["gRPC", "summary", "rare", "1"], ["HTTP", "summary", "often, and, with commas", "7"]]
    path = write(tmp_path / "f.csv", ["Method", "Name", "Error", "Occurrences"], *rows)
    assert [(f.error, f.count) for f in read_failures(path)] == [("often, and, with commas", 7), ("rare", 1)]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"users": ("Nobody",)}, "users are one or more of InfoLensGRPC, .*, not Nobody"),
        ({"users": ()}, "users are one or more of .*, not none"),
        ({"users": ("SummaryHTTP", "SummaryHTTP")}, "once each"),
        ({"users": USERS, "clients": 7}, "at least the number of kinds of users, 8, not 7"),
        ({"clients": 0}, "clients is at least .* not 0"),
        ({"seconds": 0}, "seconds is at least 1, not 0"),
        ({"ramp_s": -1.0}, "ramp_s is .* not -1"),
        ({"think_s": float("nan")}, "think_s is .* not nan"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        LocustConfig(**setting)


def test_the_report_shows_failures_apart_and_the_document_holds_no_path(tmp_path):
    figures = LocustFigures(
        protocol="HTTP",
        name="summary",
        requests=5,
        failures=5,
        requests_per_s=1.25,
        p50_ms=None,
        p90_ms=None,
        p99_ms=None,
        p999_ms=None,
        max_ms=None,
    )
    failure = LocustFailure(protocol="HTTP", name="summary", error="refused | twice", count=5)
    result = LocustResult(figures=(figures,), failures=(failure,), html=tmp_path / "locust.html", csvs=())
    table = markdown(result, LocustConfig())
    assert "| summary | HTTP | 5 | 5 | 1.2 | - | - | - | - |" in table
    assert "| refused \\| twice | summary | HTTP | 5 |" in table
    found = json.dumps(document(result, short(tmp_path)))
    assert str(tmp_path) not in found
    assert json.loads(found)["figures"][0]["requests_per_s"] == 1.25


def test_users_are_named_by_protocol_and_task(sentiment):
    asks = ("InfoLens", "Summary", "Category", "Veracity")
    assert tuple(f"{name}{protocol}" for protocol in ("GRPC", "HTTP") for name in asks) == USERS
    assert user_name(sentiment, "HTTP") == "SentimentHTTP"
    assert user_name(None, "GRPC") == "InfoLensGRPC"


def test_the_users_are_those_of_the_locustfile():
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--list"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert tuple(listed.split(":", 1)[1].split()) == USERS


@pytest.mark.parametrize("protocol", ["GRPC", "HTTP"])
def test_a_wrong_address_is_one_clear_error(tmp_path, capfd, protocol):
    grpc_url, http_url = f"grpc://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    url = grpc_url if protocol == "GRPC" else http_url
    with pytest.raises(BenchmarkError) as caught:
        run_locust(grpc_url, http_url, short(tmp_path, users=(f"InfoLens{protocol}",)))
    assert re.fullmatch(
        f"the users need a server, but none answers at {url}; start one .* --{protocol.lower()}-url", str(caught.value)
    )
    assert "Traceback" not in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_articles_that_cannot_be_read_are_one_clear_error(tmp_path):
    with (
        grpc_server(FakeTransport()) as url,
        pytest.raises(BenchmarkError, match=r"^cannot read the articles .*no\.csv"),
    ):
        run_locust(url, "", short(tmp_path, articles=tmp_path / "no.csv"))


class Crowd:
    """Answers nobody before ``wanted`` requests are under way at once; refuses those, and answers all later ones."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.maximum, self.texts = wanted, 0, []
        self._present = 0
        self._changed = threading.Condition()

    def __call__(self, article):
        with self._changed:
            self._present += 1
            self.texts.append(article.text)
            self.maximum = max(self.maximum, self._present)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.maximum >= self.wanted, timeout=20)
            self._present -= 1
            return ServerOverloadedError("busy") if len(self.texts) <= self.wanted else fake_report()


def test_users_ask_at_the_same_time_and_refusals_stand_apart(tmp_path):
    crowds = {"gRPC": Crowd(wanted=4), "HTTP": Crowd(wanted=4)}
    with grpc_server(FakeTransport(crowds["gRPC"])) as grpc_url, http_server(FakeTransport(crowds["HTTP"])) as http_url:
        config = short(tmp_path, users=("CategoryGRPC", "CategoryHTTP"), clients=8, think_s=0.05)
        result = run_locust(grpc_url, http_url, config)
    *by_protocol, together = result.figures
    assert {one.protocol for one in by_protocol} == set(crowds)
    texts = [text for crowd in crowds.values() for text in crowd.texts]
    assert len(set(texts)) == len(texts), "an article was sent twice"
    for one in by_protocol:
        assert crowds[one.protocol].maximum == 4, "a user waited until another one was answered"
        assert one.name == "category"
        assert one.requests > one.failures > 0
    assert together.requests == sum(one.requests for one in by_protocol)
    refused = {failure.protocol: failure for failure in result.failures}
    assert {failure.error for failure in result.failures} == {"ServerOverloadedError('refused: the server is busy')"}
    assert {protocol: failure.count for protocol, failure in refused.items()} == {
        one.protocol: one.failures for one in by_protocol
    }


@pytest.mark.server
def test_the_real_server_answers_users_of_both_protocols(triton, tmp_path):
    users = ("InfoLensGRPC", "CategoryHTTP")
    result = run_locust(triton.grpc_url, triton.http_url, short(tmp_path, users=users, clients=4, seconds=2))
    assert result.failures == ()
    assert {(one.protocol, one.name) for one in result.figures[:-1]} == {("gRPC", "info_lens"), ("HTTP", "category")}
    assert all(one.requests > 0 and one.failures == 0 and one.p50_ms > 0 for one in result.figures)
    assert result.figures[-1].requests == sum(one.requests for one in result.figures[:-1])
    # Both are of the same moment, the end.
    assert f'"num_requests": {result.figures[-1].requests},' in result.html.read_text(encoding="utf-8")
    assert {path.name for path in result.csvs} > {"locust_stats.csv", "locust_failures.csv"}
    assert not list(tmp_path.glob("*.partial"))
