"""What is timed: every task by default, and further ones where the server has them."""

from benchmarks.latency.config import LatencyConfig
from benchmarks.latency.measurement import measure_latency, measure_throughput, report
from infolens import Article, Client
from infolens.contract import Task
from infolens.testing import FakeTransport, fake_report
from infolens.types import Labelled, Report

ARTICLE = Article(text="The striker scored twice in the final.")
CONFIG = LatencyConfig(requests=3, warmup_requests=1, in_flight=2, load_requests=4)


def test_info_lens_and_each_task_alone_are_timed():
    with Client(transport=FakeTransport()) as client:
        timings = measure_latency(client, ARTICLE, CONFIG)
        load = measure_throughput(client, [ARTICLE], CONFIG)
    assert [one.kind for one in timings] == ["info_lens", "summary", "category", "veracity"]
    assert all(one.requests == 3 and one.p50_ms > 0 for one in timings)
    assert (load.requests, load.lost) == (4, 0)
    table, document = report(timings, load, ARTICLE)
    assert "| category |" in table
    assert document["article_words"] == 7


def test_a_further_task_is_timed_where_the_server_has_it(sentiment: Task):
    three = Report.of({task: answer for task, answer in fake_report().answers.items() if task != sentiment})
    with Client(transport=FakeTransport(three)) as client:
        assert "sentiment" not in {one.kind for one in measure_latency(client, ARTICLE, CONFIG)}
    known = fake_report()
    reading = known.summary.reading
    answer = Labelled(label="good", probability=0.75, probabilities={"bad": 0.25, "good": 0.75}, reading=reading)
    fake = FakeTransport(Report.of({**known.answers, sentiment: answer}))
    with Client(transport=fake) as client:
        timings = measure_latency(client, ARTICLE, CONFIG)
    assert [one.kind for one in timings] == ["info_lens", "summary", "category", "veracity", "sentiment"]
    asked = [request.model for request in fake.requests]
    assert asked.count("feel") == CONFIG.requests + CONFIG.warmup_requests
