"""Plain JSON against the real server: the same answers as by the SDK, one by one and many at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.common.server import Started
from infolens import Article, Client
from serving.gateway.api.examples import ANALYZED, ASKED
from tests.e2e.test_answers import ARTICLES, read
from tests.serving.gateway.http.running import Answer, ask

pytestmark = pytest.mark.server
NAMES = sorted(path.stem for path in ARTICLES.glob("*.txt"))


def post(triton: Started, path: str, document: Any) -> Answer:
    return ask(triton.http_url, "POST", path, json.dumps(document))


def document(article: Article, **more: Any) -> dict[str, Any]:
    return {"text": article.text, "title": article.title, **more}


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a document has a report's answers; probabilities may differ in their last digits."""
    return bool(
        found["summary"] == wanted["summary"]
        and found["readings"] == wanted["readings"]
        and all(
            found[task]["label"] == wanted[task]["label"]
            and found[task]["probabilities"] == pytest.approx(wanted[task]["probabilities"], abs=1e-3)
            for task in ("category", "veracity")
        )
    )


@pytest.fixture(scope="module")
def reports(triton: Started) -> Iterator[dict[str, dict[str, Any]]]:
    with Client(triton.grpc_url) as client:
        yield {name: client.analyze(read(name)).to_dict() for name in NAMES}


def test_an_article_gets_the_answers_that_the_sdk_gets(triton: Started, reports: dict[str, dict[str, Any]]) -> None:
    for name in NAMES[:3]:
        answer = post(triton, "/v1/analyze", document(read(name), id=name))
        assert answer.status == 200, answer.body
        assert answer.json["id"] == name
        assert same(answer.json, reports[name])
        assert {one["version"] for one in answer.json["models"].values()} == {"1"}
        timings = answer.json["timings"]
        assert 0 < timings["models_ms"] <= timings["total_ms"]


def test_the_example_of_an_answer_is_what_the_committed_models_give(triton: Started) -> None:
    answer = post(triton, "/v1/analyze", ASKED["all settings"])
    assert answer.status == 200, answer.body
    assert same(answer.json, dict(ANALYZED)), answer.json
    assert answer.json["models"] == ANALYZED["models"]
    for task in ("category", "veracity"):
        found, told = answer.json[task], ANALYZED[task]
        assert (found["signal"], found["doubt"]) == (told["signal"], told["doubt"])
        weights = {one["index"]: one["weight"] for one in told["evidence"]}
        assert {one["index"]: one["weight"] for one in found["evidence"]} == pytest.approx(weights, abs=1e-3)


def test_many_articles_get_theirs(triton: Started, reports: dict[str, dict[str, Any]]) -> None:
    rows = [document(read(name), id=name) for name in NAMES] * 6
    rows.insert(5, {"text": "  ", "id": "blank"})
    body = "\n".join(json.dumps(row) for row in rows)
    answer = ask(triton.http_url, "POST", "/v1/analyze/batch", body)
    found = [json.loads(line) for line in answer.body.splitlines()]
    assert [one["id"] for one in found] == [row["id"] for row in rows]
    assert [one["index"] for one in found] == list(range(len(rows)))
    assert found.pop(5)["error"]["type"] == "/v1/problems/invalid"
    assert all(same(one, reports[one["id"]]) for one in found)


def test_the_sdk_streams_many_articles_through_one_request(triton: Started, reports: dict[str, dict[str, Any]]) -> None:
    articles = [Article(title=read(name).title, text=read(name).text, id=name) for name in NAMES] * 6
    with Client(triton.http_url) as client:
        rows = list(client.analyze_batch(articles))
    assert [row.id for row in rows] == NAMES * 6
    assert all(row.report is not None and same(row.report.to_dict(), reports[str(row.id)]) for row in rows)


def test_the_status_says_which_models_answer(triton: Started) -> None:
    with Client(triton.http_url) as client:
        status = client.status()
    assert status.ready
    assert {task: one.model for task, one in status.tasks.items()} == {
        "summary": "bart", "category": "distilbert", "veracity": "xlnet",
    }  # fmt: skip
    assert all(len(one.revision) == 12 for one in status.tasks.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [("\u200b\u200b", "blank"), ("1234 5678", "letter"), ("\u0396\u03ad\u03c6\u03c5\u03c1\u03bf\u03c2", "Latin")],
)
def test_a_text_that_cannot_be_read_is_refused(triton: Started, text: str, words: str) -> None:
    answer = post(triton, "/v1/analyze", {"text": text})
    assert (answer.status, answer.json["type"]) == (400, "/v1/problems/invalid")
    assert words in answer.json["detail"]


def test_too_little_time_is_told_as_such(triton: Started) -> None:
    began_s = time.monotonic()
    answer = post(triton, "/v1/analyze", document(read(NAMES[0]), deadline_ms=1))
    assert (answer.status, answer.json["type"]) == (504, "/v1/problems/late")
    assert time.monotonic() - began_s < 30


def test_the_server_says_that_it_is_ready(triton: Started) -> None:
    answer = ask(triton.http_url, "GET", "/readyz")
    assert (answer.status, answer.json["ready"], answer.json["reason"]) == (200, True, "")
    assert answer.json["models"]["info_lens"] == {"ready": True, "reason": ""}
