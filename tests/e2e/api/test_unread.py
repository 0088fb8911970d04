"""What the real server says was not read: the places are those of the text that was sent, whatever way it came."""

from __future__ import annotations

import json

import pytest

from benchmarks.common.server import Started
from infolens import Article, Client, Span
from infolens.contract import CONTRACTS, Task
from tests.e2e.test_answers import ARTICLES, read
from tests.serving.gateway.http.running import ask

pytestmark = pytest.mark.server
WHOLE = read("business")
NAMES = sorted(path.stem for path in ARTICLES.glob("*.txt"))
LONG = "\r\n\t\u3000" + "\r\n\r\n".join(f"{read(name).text} \U0001f600 \x00" for name in NAMES)
"""Articles one after another, with blanks, a control character and one beyond the first 65,536 among them."""


def test_pieces_are_told_alike_on_every_way(triton: Started) -> None:
    article = Article(text=LONG, title=WHOLE.title)
    with Client(triton.grpc_url) as grpc, Client(triton.http_url) as http:
        report = grpc.analyze(article)
        assert http.analyze(article).readings == report.readings
        alone = {task: grpc.analyze(article, tasks=[task]).readings[task] for task in report.readings}
    assert alone == report.readings
    answer = ask(triton.http_url, "POST", "/v1/analyze", json.dumps({"text": LONG, "title": WHOLE.title}))
    assert answer.json["readings"] == report.to_dict()["readings"]
    assert {*report.readings} == {task for task, contract in CONTRACTS.items() if contract.by_default}
    end = len(LONG.replace("\x00", " ").rstrip())
    for task, reading in report.readings.items():
        assert reading.unread, task
        assert reading.truncated_tokens > 0
        pieces = [one.of(LONG) for one in reading.unread]
        assert all(piece.strip("\x00 \r\n") == piece for piece in pieces)
        left_out = sum(map(len, pieces)) / len(LONG)
        assert left_out == pytest.approx(reading.truncated_tokens / reading.tokens, abs=0.1)
    for task in (Task.SUMMARY, Task.VERACITY):  # they read the beginning
        unread = report.readings[task].unread
        assert unread is not None
        assert [one.end for one in unread] == [end]
    spread = report.readings[Task.CATEGORY].unread
    assert spread is not None
    assert len(spread) > 1


def test_what_is_left_of_a_text_is_all_that_the_model_read(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        whole = client.analyze(Article(text=LONG, title=WHOLE.title), tasks=["veracity"]).veracity
        assert whole is not None
        assert whole.reading.unread is not None
        (rest,) = whole.reading.unread
        beginning = Article(text=LONG[: rest.start], title=WHOLE.title)
        answer = client.analyze(beginning, tasks=["veracity"]).veracity
    assert answer is not None
    assert answer.reading.unread == ()
    assert answer.reading.tokens == whole.reading.tokens - whole.reading.truncated_tokens
    assert answer.probabilities == pytest.approx(dict(whole.probabilities), abs=1e-3)


def test_short_texts_are_read_whole_and_titles_have_no_places(triton: Started) -> None:
    with Client(triton.grpc_url) as client:
        for reading in client.analyze("  The bridge over the harbour will close in June.\n").readings.values():
            assert (reading.truncated_tokens, reading.unread) == (0, ())
        text = "\nThe bridge over the harbour will close in June. "
        buried = client.analyze(Article(text=text, title="All news of the day. " * 90), tasks=["veracity"])
    assert buried.readings[Task.VERACITY].unread == (Span(start=1, end=len(text) - 1),)
