"""Links and documents: a server reads them, and then they are articles as others are."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infolens import Article, PermissionDeniedError, RequestRejectedError, RetryPolicy, ServerOverloadedError
from infolens._commands import running
from infolens.problems import Problem, to_problem
from infolens.testing import FakeTransport, fake_report
from tests.clients.loopback import free_port, grpc_server, http_server

LINK = "https://news.example/a?b=1&c=2"
DOCUMENT = {
    "id": "r-1",
    "url": "https://news.example/final",
    "kind": "html",
    "title": "The page's title",
    "text": "The text of the page.",
    "author": "A. Writer",
    "date": "2026-05-01",
    "site": "News\x1b Example",
    "language": "en",
    "reviews": [{"claim": "It rains.", "rating": "False", "publisher": "Checkers", "url": None, "date": None}],
    "notes": ["3 of 120 pages have no text: they may be scans"],
}


class Site:
    """Stands in for a server's ``/v1/extract``."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self._lock = threading.Lock()

    def __call__(self, query: str, body: bytes) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.asked.append((query, body))
            return self.answers.pop(0) if self.answers else (200, DOCUMENT)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def fake() -> FakeTransport:
    return FakeTransport(lambda article: fake_report(summary=article.text))


@pytest.fixture
def server(site: Site, fake: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(running, "RetryPolicy", lambda **_: RetryPolicy(attempts=2, backoff_s=0))
    with http_server(fake, extract=site) as url:
        yield url


def test_a_link_is_read_shown_and_analyzed(run: Any, site: Site, fake: FakeTransport, server: str) -> None:
    code, out, err = run("analyze", LINK, "--server", server)
    assert (code, err) == (0, "")
    assert site.asked == [("", json.dumps({"url": LINK}).encode())]
    assert fake.articles == [Article(text="The text of the page.", title="The page's title")]
    lines = out.splitlines()
    assert lines[:7] == [
        LINK,
        "  Title     The page's title",
        "  Site      News Example",
        "  Date      2026-05-01",
        "  Author    A. Writer",
        "  Note      3 of 120 pages have no text: they may be scans",
        "  Claims    checked by Checkers: 'It rains.' is 'False'",
    ]
    assert lines[7] == "  Summary   The text of the page."


def test_links_and_files_side_by_side(run: Any, site: Site, fake: FakeTransport, server: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text.", "utf-8")
    site.answers.append(
        (400, Problem(kind="invalid", detail="the page answered 403 Forbidden; paste the text").to_dict())
    )
    files = (LINK, str(tmp_path / "a.txt"), "http://b.example/")
    code, out, err = run("analyze", "--json", "--server", server, "--in-flight", "1", *files)
    assert code == 1
    assert err == f"infolens: {LINK}: {server} refused the request: the page answered 403 Forbidden; paste the text\n"
    failed, text, page = map(json.loads, out.splitlines())
    assert failed["error"]["type"] == "RequestRejectedError"
    assert (text["file"], "article" in text) == (files[1], False)
    assert (page["title"], page["article"]["date"]) == ("The page's title", "2026-05-01")
    assert page["article"]["text"] == "The text of the page."


def test_a_given_title_counts_more(run: Any, fake: FakeTransport, server: str) -> None:
    assert run("analyze", LINK, "--title", "Mine", "--server", server)[0] == 0
    assert fake.articles[0].title == "Mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a b&.pdf", b"%PDF-1.4 x"),
        ("a.docx", b"PK\x03\x04" + bytes(60) + b"word/document.xml"),
        ("a.html", b"<!DOCTYPE html><p>x"),
    ],
)
def test_documents_are_read_by_the_server(
    run: Any, use: Any, site: Site, fake: FakeTransport, server: str, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    code, out, _ = run("analyze", str(file), "--server", server)
    assert code == 0
    assert site.asked == [(f"?name={name.replace(' ', '%20').replace('&', '%26')}", content)]
    assert "The text of the page." in out
    with grpc_server(FakeTransport()) as other:
        code, _, err = run("analyze", str(file), "--server", other)
    assert (code, len(site.asked)) == (1, 1)
    assert err.rstrip().endswith("; or let a server read it: name its HTTP address with --server http://HOST:8000")


def test_other_documents_are_refused_as_ever(run: Any, site: Site, server: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    code, _, err = run("analyze", str(tmp_path / "a.png"), "--server", server)
    assert (code, site.asked) == (1, [])
    assert "tesseract" in err


def test_a_table_of_links(run: Any, site: Site, fake: FakeTransport, server: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(
        f"id,url,text,title\n1,{LINK},,\n2,,A text.,T\n3,{LINK},Mine.,\n4,ftp://x,,\n", "utf-8"
    )
    out = tmp_path / "out.csv"
    code, _, _ = run("analyze", "--in", str(tmp_path / "in.csv"), "--out", str(out), "--server", server)
    with out.open(encoding="utf-8", newline="") as file:
        rows = [(row["id"], row["title"], row["url"], row["summary"]) for row in csv.DictReader(file)]
    assert (code, len(site.asked)) == (1, 1)
    assert rows == [
        ("1", "The page's title", "https://news.example/final", "The text of the page."),
        ("2", "T", "", "A text."),
        ("3", "", LINK, "Mine."),
        ("4", "", "", ""),
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionDeniedError("this server fetches no links"), "fetches no links"),
        (RequestRejectedError("127.0.0.1 is a private address"), "private address"),
    ],
)
def test_a_refused_link_ends_no_other(
    run: Any, site: Site, server: str, tmp_path: Path, error: RequestRejectedError, words: str
) -> None:
    (tmp_path / "a.txt").write_text("A text.", "utf-8")
    document = to_problem(error)
    site.answers.append((document["status"], document))
    code, out, err = run("analyze", LINK, str(tmp_path / "a.txt"), "--server", server)
    assert (code, "A text." in out) == (1, True)
    assert words in err


def test_a_busy_server_is_asked_again(run: Any, site: Site, server: str) -> None:
    busy = to_problem(ServerOverloadedError("8 links are being fetched"))
    site.answers += [(busy["status"], busy)] * 5
    assert run("analyze", LINK, "--server", server)[0] == 0
    assert len(site.asked) == 6


def test_an_older_server_has_no_such_path(run: Any, fake: FakeTransport) -> None:
    with http_server(fake) as url:
        code, _, err = run("analyze", LINK, "--server", url)
    assert code == 1
    assert "need a server with /v1/extract" in err


@pytest.mark.parametrize("answer", [(200, {"error": "x"}), (200, {"text": 3})])
def test_another_answer_is_told(run: Any, site: Site, server: str, answer: tuple[int, dict[str, Any]]) -> None:
    site.answers.append(answer)
    code, _, err = run("analyze", LINK, "--server", server)
    assert (code, "must answer /v1/extract with an article" in err) == (1, True)


def test_a_page_without_text_is_told(run: Any, site: Site, server: str) -> None:
    site.answers.append((200, {**DOCUMENT, "text": " "}))
    assert "an article needs text" in run("analyze", LINK, "--server", server)[2]


def test_a_link_needs_an_address_of_http(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOLENS_URL", "grpc://127.0.0.1:9")
    code, _, err = run("analyze", LINK)
    assert code == 2
    assert f"a link ({LINK}) is fetched by a server over HTTP, but grpc://127.0.0.1:9 is" in err
    assert "--server http://HOST:8000" in err


def test_without_a_server_links_go_to_the_usual_one(
    run: Any, monkeypatch: pytest.MonkeyPatch, fake: FakeTransport, server: str
) -> None:
    monkeypatch.delenv("INFOLENS_URL", raising=False)
    monkeypatch.setattr("infolens._commands.sources.DEFAULT_HTTP_URL", server)
    assert run("analyze", LINK)[0] == 0
    assert len(fake.articles) == 1


def test_nobody_there_is_3(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "RetryPolicy", lambda **_: RetryPolicy(attempts=1))
    code, out, err = run("analyze", LINK, "--server", f"http://127.0.0.1:{free_port()}")
    assert (code, out) == (3, "")
    assert "cannot reach" in err


def test_the_key_goes_along_and_stands_in_no_message(run: Any, fake: FakeTransport, site: Site, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("il_secret\n", "utf-8")
    seen: list[dict[str, str]] = []
    with http_server(fake, extract=site, seen=seen) as url:
        code, out, err = run("analyze", LINK, "--server", url, "--api-key-file", str(tmp_path / "key"))
    assert (code, "il_secret" in out + err) == (0, False)
    assert {headers.get("authorization") for headers in seen} == {"Bearer il_secret"}
