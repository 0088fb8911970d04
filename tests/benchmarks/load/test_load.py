"""The open loop, its articles, the search and the reports, against a gRPC server of our own (the network's seam)."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from benchmarks.cli import main
from benchmarks.common.articles import LENGTHS_WORDS, Articles, Mix, read_articles
from benchmarks.common.metrics import parse_counters, stages
from benchmarks.common.open_loop import Arrivals, Due, Outcome, Run, Sent, closed_loop_per_s, run, send
from benchmarks.common.processes import ProcessUse, ProcessWatch
from benchmarks.common.server import BenchmarkError
from benchmarks.common.wire import METHOD, encode, kinds, tasks_of
from benchmarks.load.open_loop.report import Load, document, markdown
from benchmarks.load.open_loop.steps import Step, find_max
from benchmarks.load.output import write_load
from infolens import Article
from infolens.contract import CONTRACTS, Task
from infolens.machine import this_machine

WAIT_S = 30


class Scripted:
    """A server that answers each request as its script says: ``ok``, ``busy``, ``expired``, ``broken`` or an Event."""

    def __init__(self, script: Iterator[Any]) -> None:
        self._script = script
        self._lock = threading.Lock()
        self.requests: list[service_pb2.ModelInferRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(32))
        handler = grpc.unary_unary_rpc_method_handler(self._answer)
        service, method = METHOD.strip("/").split("/")
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
        self.url = f"grpc://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(WAIT_S)

    def _answer(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self.requests.append(service_pb2.ModelInferRequest.FromString(body))
            todo = next(self._script)
        if isinstance(todo, threading.Event):
            todo.wait(WAIT_S)
        elif todo == "busy":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the server is busy: 15 requests are ahead")
        elif todo == "expired":
            context.abort(grpc.StatusCode.UNAVAILABLE, "Request timeout expired")
        elif todo == "broken":
            context.abort(grpc.StatusCode.INTERNAL, "ONNX Runtime: broken")
        return b""


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
    script = itertools.chain(["ok", "busy", "expired", "broken", never], itertools.repeat("ok"))
    body = encode(Article(text="a goal"), kind="info_lens", timeout_s=WAIT_S)
    requests = [Due(at_s=0.3 * n, body=body, leaves_s=0.2 if n == 4 else None) for n in range(5)]
    with Scripted(script) as server:
        found = send(server.url, requests, Arrivals(rate_per_s=1, warmup_s=0, timeout_s=WAIT_S))
        never.set()
    wanted = [Outcome.ANSWERED, Outcome.REFUSED, Outcome.LATE, Outcome.FAILED, Outcome.LEFT]
    assert [one.outcome for one in found.sent] == wanted
    assert found.lost == 3
    assert not found.holds(1e9)
    assert sum(found.reasons.values()) == 1
    assert "broken" in next(iter(found.reasons))


def test_a_server_that_stalls_pays_for_all_who_had_to_wait() -> None:
    stall = threading.Event()
    body = encode(Article(text="a goal"), kind="info_lens", timeout_s=WAIT_S)
    with Scripted(itertools.repeat(stall)) as server:
        timer = threading.Timer(1.0, stall.set)
        timer.start()
        found = send(
            server.url, [Due(at_s=0.1 * n, body=body) for n in range(5)], Arrivals(rate_per_s=1, timeout_s=WAIT_S)
        )
        timer.join()
    # All are answered at the same moment, and each latency counts from the moment when its request was due.
    latencies = [one.latency_ms for one in found.sent]
    assert all(earlier > later for earlier, later in itertools.pairwise(latencies))


def test_warm_up_is_sent_and_not_counted() -> None:
    arrivals = Arrivals(rate_per_s=50, seconds=0.5, warmup_s=0.5)
    with Scripted(itertools.repeat("ok")) as server:
        found = run(server.url, Articles(words=20), arrivals)
    assert len(server.requests) == len(arrivals.due_s())
    assert len(found.sent) == sum(due_s >= 0.5 for due_s in arrivals.due_s())
    assert found.warmup_answered == len(server.requests) - len(found.sent)
    assert found.holds(1e6)


def test_the_closed_loop_asks_again_when_it_is_refused() -> None:
    with Scripted(itertools.cycle(["busy", "ok"])) as server:
        assert closed_loop_per_s(server.url, Articles(words=20), in_flight=2, seconds=0.3) > 0


def test_requests_carry_article_settings_and_time_out() -> None:
    article = Article(title="Markets", text="Shares rose — a bit.")
    request = service_pb2.ModelInferRequest.FromString(
        encode(article, kind="info_lens", timeout_s=1.5, settings={"num_beams": 4, "length_penalty": 0.5})
    )
    assert request.model_name == "info_lens"
    assert request.parameters["timeout"].int64_param == 1_500_000
    found = {tensor.name: raw for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)}
    assert found["text"][4:].decode() == article.text
    assert found["title"][4:].decode() == article.title
    assert np.frombuffer(found["num_beams"], np.int32).tolist() == [4]
    assert np.frombuffer(found["length_penalty"], np.float32).tolist() == [0.5]
    alone = service_pb2.ModelInferRequest.FromString(encode(article, kind="summary", timeout_s=1))
    assert (alone.model_name, [tensor.name for tensor in alone.inputs]) == ("summarize", ["text"])


def test_a_further_task_is_asked_as_its_contract_says(sentiment: Task) -> None:
    assert kinds() == ("info_lens", "summary", "category", "veracity", "sentiment")
    assert sentiment not in tasks_of("info_lens")
    encoded = encode(Article(title="Markets", text="Shares rose."), kind="sentiment", timeout_s=1)
    request = service_pb2.ModelInferRequest.FromString(encoded)
    assert (request.model_name, {tensor.name for tensor in request.inputs}) == ("feel", {"text", "title"})


def test_articles_are_as_long_as_real_ones_and_new_each_time() -> None:
    stream = Articles(seed=3)
    articles = [next(stream) for _ in range(2000)]
    words = sorted(len(article.text.split()) for article in articles)
    assert words[1000] == pytest.approx(LENGTHS_WORDS[10], rel=0.1)
    assert LENGTHS_WORDS[0] <= words[0]
    assert words[-1] <= LENGTHS_WORDS[-1]
    assert len({article.text for article in articles}) == len(articles)
    again = Articles(seed=3)
    assert [next(again) for _ in range(20)] == articles[:20]
    assert len(next(Articles(words=77)).text.split()) == 77


def test_popular_articles_come_again_and_are_the_same_for_everyone() -> None:
    first, second = Articles(mix=Mix.POPULAR, seed=1), Articles(mix=Mix.POPULAR, seed=2)
    mine, theirs = [next(first).text for _ in range(500)], [next(second).text for _ in range(500)]
    assert len(set(mine)) < 200
    assert max(mine.count(text) for text in set(mine)) > 40
    assert len(set(mine) & set(theirs)) > 50


def test_own_articles_are_read_or_refused_with_a_reason(tmp_path: Path) -> None:
    lines = [{"title": "T", "text": "one"}, {"article": "two"}, {"text": "  "}]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    assert read_articles(path) == [Article(title="T", text="one"), Article(text="two")]
    table = tmp_path / "mine.csv"
    table.write_text("title,text\nT,one\n,two\n")
    assert read_articles(table) == [Article(title="T", text="one"), Article(text="two")]
    for name, content, message in (
        ("x.txt", "", "come as .jsonl, .csv, .parquet"),
        ("x.jsonl", "{", "cannot read the articles"),
        ("y.jsonl", '{"body": "x"}', "holds no article"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(BenchmarkError, match=message):
            read_articles(tmp_path / name)
    with pytest.raises(BenchmarkError, match="cannot read the articles"):
        read_articles(tmp_path / "missing.csv")


METRICS = """\
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="bart",version="1"} %d
# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="bart",reason="REJECTED",version="1"} 3
nv_inference_request_failure{model="bart",reason="OTHER",version="1"} 1
# TYPE nv_inference_count counter
nv_inference_count{model="bart",version="1"} %d
# TYPE nv_inference_exec_count counter
nv_inference_exec_count{model="bart",version="1"} %d
# TYPE nv_inference_queue_duration_us counter
nv_inference_queue_duration_us{model="bart",version="1"} %d
# TYPE nv_cpu_utilization gauge
nv_cpu_utilization 0.5
"""


def test_stages_are_means_between_two_looks() -> None:
    before, after = parse_counters(METRICS % (10, 10, 10, 5000)), parse_counters(METRICS % (30, 50, 20, 105_000))
    (stage,) = stages(before, after)
    assert (stage.model, stage.requests, stage.batch, stage.wait_ms) == ("bart", 20, 4.0, 5.0)
    assert stages({}, after)[0].failures == 4
    assert stages(after, after) == []


def test_processes_are_watched_with_all_below_them() -> None:
    watch = ProcessWatch(threading.main_thread().native_id or 0, interval_s=0.01)
    with watch.running():
        end_s = time.process_time() + 0.1
        while time.process_time() < end_s:
            pass
    used = {use.name: use for use in watch.used()}
    assert sum(use.cpu_s for use in used.values()) >= 0.1
    assert all(use.memory_bytes > 0 for use in used.values())
    assert watch.memory


def step(rate_per_s: float, latency_ms: float, outcome: Outcome = Outcome.ANSWERED) -> Step:
    sent = tuple(Sent(due_s=n / rate_per_s, latency_ms=latency_ms, outcome=outcome) for n in range(100))
    use = ProcessUse(name="bart", processes=2, cpu_s=1, cores=0.5, memory_bytes=10**8, peak_memory_bytes=10**8)
    found = stages({}, parse_counters(METRICS % (30, 50, 20, 105_000)))
    arrivals = Arrivals(rate_per_s=rate_per_s, seconds=10)
    result = Run(arrivals=arrivals, sent=sent, reasons={}, behind_p99_ms=0.1)
    served = {Task.SUMMARY: CONTRACTS[Task.SUMMARY].served()}
    return Step(run=result, stages=tuple(found), processes=(use,), memory=(), served=served)


@pytest.mark.parametrize("limit_per_s", [7.0, 33.0, 100.0, 170.0])
def test_the_search_finds_the_highest_rate_that_holds(limit_per_s: float) -> None:
    best, steps = find_max(
        lambda rate: step(rate, 100 if rate <= limit_per_s else 900), p99_ms=500, guess_per_s=100, resolution=0.02
    )
    assert limit_per_s - 2 <= best <= limit_per_s
    assert len(steps) < 16


def test_a_server_that_holds_nothing_is_told() -> None:
    best, _ = find_max(lambda rate: step(rate, 10, Outcome.REFUSED), p99_ms=500, guess_per_s=8, resolution=0.1)
    assert best == 0


def test_percentiles_keep_the_tail() -> None:
    sent = [Sent(due_s=0, latency_ms=10.0, outcome=Outcome.ANSWERED)] * 990
    sent += [Sent(due_s=0, latency_ms=2000.0, outcome=Outcome.ANSWERED)] * 10
    found = Run(arrivals=Arrivals(rate_per_s=1), sent=tuple(sent), reasons={}, behind_p99_ms=0).percentiles_ms()
    assert found[50.0] == pytest.approx(10, rel=0.001)
    assert found[99.0] == pytest.approx(10, rel=0.001)
    assert found[99.9] == pytest.approx(2000, rel=0.001)


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    steps = (step(10, 40), step(20, 90), step(30, 700), step(40, 5, Outcome.REFUSED))
    load = Load(
        steps=steps,
        p99_ms=500,
        best_per_s=20,
        searched=True,
        mix="new",
        articles="articles as long as real ones",
        machine=this_machine(),
        day=date(2026, 1, 2),
    )
    paths = write_load(load, "python -m benchmarks load", tmp_path)
    assert all(path.stat().st_size for path in paths)
    assert not list(tmp_path.glob("*.partial*"))
    page = paths[0].read_text()
    assert "20.0 info_lens requests a second, all of them answered" in page
    assert page.count("data:image/png;base64,") == 3
    assert "does not hold" in page
    assert [one["rate_per_s"] for one in document(load)["steps"]] == [10, 20, 30, 40]
    assert document(load)["steps"][3]["refused"] == 100
    assert "| 40.0 | 100 | 0.0 |" in markdown(load, "x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "0"], "rate_per_s is a number above 0"),
        (["--rate", "1", "--kind", "category", "--set", "num_beams=4"], "for requests of category, not 'num_beams=4'"),
        (["--rate", "1", "--set", "beams=4"], "--set takes NAME=VALUE"),
        (["--find-max", "--seconds", "1"], "at least 5 s a rate"),
    ],
)
def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["load", *words])
    assert message in capsys.readouterr().err
