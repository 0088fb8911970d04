"""A load test as Prometheus sees it while it runs."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.common.open_loop import Arrivals, Due, send
from benchmarks.common.server import BenchmarkError
from benchmarks.common.wire import encode
from benchmarks.load.closed_loop.locust_run import LocustConfig, run_locust
from benchmarks.load.exposed import exposed
from infolens import Article, ServerOverloadedError
from infolens.testing import FakeTransport, fake_report
from tests.benchmarks.common.scripted import WAIT_S, Scripted, text_of
from tests.clients.loopback import free_port, grpc_server


def read(port: int) -> dict[str, float]:
    """What a port shows: counts of outcomes by their names, other samples by their own."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
        text = answer.read().decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {
        one.labels.get("outcome", one.name): one.value for one in samples if not one.name.endswith(("_bucket", "_sum"))
    }


def test_an_open_loop_is_seen_while_it_runs() -> None:
    texts, held, seen = ["ok", "busy", "expired", "broken", "held"], threading.Event(), {}
    port = free_port()

    def script(request: object) -> object:
        if text_of(request) != "held":  # type: ignore[arg-type]
            return text_of(request)  # type: ignore[arg-type]
        seen.update(read(port))  # from a thread of the server, while this request waits
        held.set()
        return held

    requests = [
        Due(at_s=0.001 * n, body=encode(Article(text=text), kind="info_lens", timeout_s=WAIT_S))
        for n, text in enumerate(texts)
    ]
    with Scripted(script) as server, exposed(port) as metrics:
        send(server.url, requests, Arrivals(rate_per_s=7, warmup_s=0, timeout_s=WAIT_S), metrics)
        found = read(port)
    assert (seen["infolens_load_sent_total"], seen["infolens_load_asked_per_second"]) == (5, 7)
    assert found["infolens_load_sent_total"] == 5
    outcomes = ("answered", "refused", "late", "failed", "left")
    assert {name: found[name] for name in outcomes} == dict(zip(outcomes, (2, 1, 1, 1, 0), strict=True))


def test_users_of_locust_are_seen_while_they_ask(tmp_path: Path) -> None:
    port, seen, lock = free_port(), dict[str, float](), threading.Lock()
    count = 0

    def answer(_: Article) -> object:
        nonlocal count
        with lock:
            count += 1
            number = count
        if number == 1:
            return ServerOverloadedError("busy")
        if number == 4:  # each of two users has one request under way at most: two have ended, and one was refused
            seen.update(read(port))
        return fake_report()

    with grpc_server(FakeTransport(answer)) as url:
        run_locust(url, "", LocustConfig(clients=2, seconds=1, ramp_s=0.0, out=tmp_path, metrics_port=port))
    assert seen["infolens_load_sent_total"] in (4, 5)
    assert seen["refused"] == 1
    assert seen["answered"] >= 1
    assert "infolens_load_asked_per_second" not in seen, "a closed loop asks for no rate"


def test_a_port_that_is_taken_is_one_clear_error(tmp_path: Path) -> None:
    port = free_port()
    with exposed(port), pytest.raises(BenchmarkError, match=f"free port of this machine, not {port}"), exposed(port):
        pass
    with (
        exposed(port),
        grpc_server(FakeTransport()) as url,
        pytest.raises(BenchmarkError, match=f"free port of this machine, not {port}"),
    ):
        run_locust(url, "", LocustConfig(clients=2, seconds=1, out=tmp_path, metrics_port=port))


def test_without_a_port_nothing_is_shown() -> None:
    with exposed(None) as metrics:
        assert metrics is None
