"""The open and the closed loop, against a server that answers as the test says."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from benchmarks.common.articles import Articles
from benchmarks.common.closed_loop import closed_loop_per_s
from benchmarks.common.open_loop import Arrivals, Due, Run, Sent, run, send
from benchmarks.common.server import BenchmarkError
from benchmarks.common.wire import RequestOutcome, encode
from infolens import Article
from tests.benchmarks.common.scripted import WAIT_S, Scripted, text_of


def body_of(text: str) -> bytes:
    return encode(Article(text=text), kind="info_lens", timeout_s=WAIT_S)


def test_arrivals_are_a_poisson_process_of_the_wanted_rate() -> None:
    due_s = Arrivals(rate_per_s=200, seconds=100, warmup_s=0).due_s()
    gaps = np.diff(due_s)
    assert len(due_s) == pytest.approx(20_000, rel=0.03)
    # Exponential gaps: their deviation is their mean.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert Arrivals(rate_per_s=200, seconds=100, warmup_s=0).due_s() == due_s
    assert Arrivals(rate_per_s=200, seconds=100, warmup_s=0, seed=1).due_s() != due_s


@pytest.mark.parametrize("wrong", [{"rate_per_s": 0}, {"seconds": -1}, {"timeout_s": 0}, {"warmup_s": -1}])
def test_wrong_arrivals_are_told(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Arrivals(**{"rate_per_s": 1, **wrong})


def test_what_becomes_of_requests_is_told_apart() -> None:
    never = threading.Event()
    wanted = {
        "ok": RequestOutcome.ANSWERED,
        "busy": RequestOutcome.REFUSED,
        "expired": RequestOutcome.LATE,
        "broken": RequestOutcome.FAILED,
        "never": RequestOutcome.LEFT,
    }
    requests = [
        Due(at_s=0.001 * n, body=body_of(text), leaves_s=0.1 if text == "never" else None)
        for n, text in enumerate(wanted)
    ]
    with Scripted(lambda request: never if text_of(request) == "never" else text_of(request)) as server:
        found = send(server.url, requests, Arrivals(rate_per_s=1, warmup_s=0, timeout_s=WAIT_S))
        never.set()
    assert [one.outcome for one in found.sent] == list(wanted.values())
    assert found.lost == 3
    assert not found.holds(1e9)
    assert found.reasons == {"INTERNAL: ONNX Runtime: broken": 1}


def test_a_server_that_stalls_pays_for_all_who_had_to_wait() -> None:
    everyone = threading.Barrier(5)
    with Scripted(lambda _: everyone) as server:
        requests = [Due(at_s=0.1 * n, body=body_of("a goal")) for n in range(5)]
        found = send(server.url, requests, Arrivals(rate_per_s=1, timeout_s=WAIT_S))
    # All are answered when the last one is there, and each latency counts from the moment when its request was due.
    latencies = [one.latency_ms for one in found.sent]
    assert all(earlier > later for earlier, later in itertools.pairwise(latencies))


def test_warm_up_is_sent_and_not_counted() -> None:
    arrivals = Arrivals(rate_per_s=100, seconds=0.2, warmup_s=0.2)
    with Scripted(lambda _: "ok") as server:
        found = run(server.url, Articles(words=20), arrivals)
    assert len(server.requests) == len(arrivals.due_s())
    assert len(found.sent) == sum(due_s >= 0.2 for due_s in arrivals.due_s())
    assert found.warmup_answered == len(server.requests) - len(found.sent)
    assert found.holds(1e6)


def test_the_closed_loop_asks_again_when_it_is_refused() -> None:
    answers = itertools.cycle(["busy", "ok"])
    with Scripted(lambda _: next(answers)) as server:
        assert closed_loop_per_s(server.url, Articles(words=20), in_flight=2, seconds=0.3, warmup_s=0) > 0


def test_the_closed_loop_ends_when_the_server_fails() -> None:
    with (
        Scripted(lambda _: "broken") as server,
        pytest.raises(BenchmarkError, match=r"failed a request \(INTERNAL: ONNX Runtime: broken\); look at its log"),
    ):
        closed_loop_per_s(server.url, Articles(words=20), in_flight=2, seconds=WAIT_S, warmup_s=0)


def test_percentiles_keep_the_tail() -> None:
    sent = [Sent(due_s=0, latency_ms=10.0, outcome=RequestOutcome.ANSWERED)] * 990
    sent += [Sent(due_s=0, latency_ms=2000.0, outcome=RequestOutcome.ANSWERED)] * 10
    found = Run(arrivals=Arrivals(rate_per_s=1), sent=tuple(sent), reasons={}, behind_p99_ms=0).percentiles_ms()
    assert found[50.0] == pytest.approx(10, rel=0.001)
    assert found[99.0] == pytest.approx(10, rel=0.001)
    assert found[99.9] == pytest.approx(2000, rel=0.001)
