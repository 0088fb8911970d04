"""`analyze_url`: a link goes to the server's JSON API, and comes back as answers and the article that was read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from infolens import (
    AsyncClient,
    Client,
    ClientClosedError,
    InfoLensError,
    InvalidArticleError,
    InvalidSettingError,
    LinkedReport,
    PermissionDeniedError,
    RequestRejectedError,
    RetryPolicy,
    ServerOverloadedError,
    SummaryOptions,
    Task,
    UnexpectedResponseError,
)
from infolens.problems import to_problem
from infolens.testing import FakeTransport, fake_report

LINK = "https://news.example/story"
ARTICLE = {
    "url": "https://news.example/story/1",
    "title": "Oil",
    "text": "Oil rises.",
    "author": None,
    "date": "2026-06-01",
    "site": "News",
    "language": "en",
    "reviews": [{"claim": "Oil rises.", "rating": "True", "publisher": None, "url": None, "date": None}],
    "notes": ["a note"],
}
FOUND = (200, {"id": "1", "article": ARTICLE, **fake_report(summary="Oil.").to_dict()})
Answer = tuple[int, Any]


class Site:
    """A server of the JSON API with a list of answers, the last of which comes again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator[str]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/analyze"
                site.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                site.keys.append(self.headers["Authorization"])
                status, document = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            try:
                yield self.url
            finally:
                server.shutdown()
                thread.join()


def ask(kind: str, server: str, link: str = LINK, **more: Any) -> LinkedReport:
    """Ask with the blocking or the asyncio client."""
    retries = RetryPolicy(backoff_s=0.0, on_overload=True)
    if kind == "blocking":
        with Client(server, api_key="k", retries=retries) as client:
            return client.analyze_url(link, **more)

    async def asked() -> LinkedReport:
        async with AsyncClient(server, api_key="k", retries=retries) as client:
            return await client.analyze_url(link, **more)

    return asyncio.run(asked())


both = pytest.mark.parametrize("kind", ["blocking", "asyncio"])


@both
def test_the_answers_come_with_the_article_that_was_read(kind: str) -> None:
    site = Site(FOUND)
    with site.listening() as url:
        options = SummaryOptions(max_length=20)
        found = ask(kind, url, f" {LINK}\n", title="Tankers", options=options, partial=True, evidence=True, timeout_s=9)
    assert found.report.summary is not None
    assert found.report.summary.text == "Oil."
    assert set(found.report.answers) == set(Task)
    article = found.article
    assert (article.url, article.title, article.text) == (ARTICLE["url"], "Oil", "Oil rises.")
    assert (article.author, article.date, article.site, article.language) == (None, "2026-06-01", "News", "en")
    assert ([dict(one) for one in article.reviews], article.notes) == (ARTICLE["reviews"], ("a note",))
    (asked,) = site.asked
    assert 0 < asked.pop("deadline_ms") <= 9000
    assert asked == {
        "url": LINK,
        "title": "Tankers",
        "tasks": ["summary", "category", "veracity"],
        "summary": {"max_length": 20},
        "partial": True,
        "evidence": True,
    }
    assert site.keys == ["Bearer k"]


@both
def test_some_tasks_are_asked_for(kind: str) -> None:
    site = Site(FOUND)
    with site.listening() as url:
        assert set(ask(kind, url, tasks="category").report.answers) == {Task.CATEGORY}
    assert site.asked[0]["tasks"] == ["category"]


@both
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (to_problem(RequestRejectedError("the page answered 403 Forbidden")), RequestRejectedError, "403 Forbidden"),
        (to_problem(PermissionDeniedError("this server fetches no links")), PermissionDeniedError, "no links"),
        ({"status": 404, "error": "no such path"}, UnexpectedResponseError, "needs a server with /v1/analyze"),
        ({"status": 200}, UnexpectedResponseError, "something else"),
        ({"status": 200, **FOUND[1], "article": {"url": 7, "text": ""}}, UnexpectedResponseError, "must be strings"),
        ({"status": 200, **FOUND[1], "article": None}, UnexpectedResponseError, "something else"),
    ],
)
def test_there_is_no_answer(kind: str, answer: dict[str, Any], error: type[InfoLensError], words: str) -> None:
    site = Site((answer["status"], answer))
    with site.listening() as url, pytest.raises(error, match=words):
        ask(kind, url)
    assert len(site.asked) == 1


@both
def test_a_busy_server_is_asked_again_as_the_policy_says(kind: str) -> None:
    busy = to_problem(ServerOverloadedError("the server is busy"))
    site = Site((busy["status"], busy), (busy["status"], busy), FOUND)
    with site.listening() as url:
        assert ask(kind, url).article.text == "Oil rises."
    assert len(site.asked) == 3
    site = Site((busy["status"], busy))
    with site.listening() as url, pytest.raises(ServerOverloadedError):
        ask(kind, url)
    assert len(site.asked) == 3


@both
def test_a_client_of_grpc_says_where_links_go(kind: str) -> None:
    with pytest.raises(InvalidSettingError, match="give the client its HTTP address"):
        ask(kind, "grpc://127.0.0.1:9")


def test_what_is_wrong_is_said_before_anything_is_sent() -> None:
    with pytest.raises(InvalidSettingError, match="HTTP address"):
        Client(transport=FakeTransport()).analyze_url(LINK)
    with Client("http://127.0.0.1:9") as client:
        for link in ("", " ", None, b"x"):
            with pytest.raises(InvalidArticleError, match="a link is a str"):
                client.analyze_url(link)  # type: ignore[arg-type]
        with pytest.raises(InvalidSettingError):
            client.analyze_url(LINK, tasks="mood")
    with pytest.raises(ClientClosedError):
        client.analyze_url(LINK)
