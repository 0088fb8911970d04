"""The routes of files: what they take, give and refuse, and who may."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from serving.gateway.configuration import GatewayLimits
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import has, made
from tests.serving.gateway.files.conftest import send
from tests.serving.gateway.http.running import FakeTriton, RunningDoor, fake_door
from tests.serving.gateway.scripted import ScriptedTriton, opened, options
from tests.serving.intake.made import PARAGRAPHS, REVIEW, WORDS, page, pdf, shown, word, zipped

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("data", "kind", "title"),
    [
        (f"Bridge closes\n\n{WORDS}".encode(), "text", "Bridge closes"),
        (page().encode(), "html", "Harbour bridge to close"),
        (word(lambda document: document.add_paragraph(WORDS), title="Bridge closes"), "docx", "Bridge closes"),
        (pdf(shown(["Bridge closes", *PARAGRAPHS])), "pdf", "Bridge closes"),
    ],
)
def test_an_article_is_read_out_of_a_file(files: RunningDoor, data: bytes, kind: str, title: str) -> None:
    answer = send(files, "/v1/extract?name=story", data, X_Request_Id="desk-1")
    found = answer.json
    assert (answer.status, found["id"], found["url"]) == (200, "desk-1", None)
    assert (found["kind"], found["title"]) == (kind, title)
    assert " ".join(found["text"].split()) == WORDS
    assert list(found) == [
        "id", "url", "kind", "title", "text", "author", "date", "site", "language", "reviews", "notes",
    ]  # fmt: skip


def test_what_a_page_says_of_itself_and_of_claims(files: RunningDoor) -> None:
    data = page(head=f'<script type="application/ld+json">{REVIEW}</script>').encode()
    found = files.ask("POST", "/v1/extract", data, {"Content-Type": "text/html; charset=utf-8"}).json
    assert (found["author"], found["date"], found["site"]) == ("Jane Doe", "2026-06-01", "The Harbour Post")
    assert [(one["claim"], one["rating"]) for one in found["reviews"]] == [("The bridge has sunk.", "2 of 5")]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "words"),
    [
        ("/v1/extract", b"\x89PNG\r\n\x1a\n", {}, 400, "an image"),
        ("/v1/extract", b"", {}, 400, "this file is empty"),
        ("/v1/extract?nom=a", b"a", {}, 400, "one setting, name"),
        ("/v1/extract?name=a&name=b", b"a", {}, 400, "given once"),
        ("/v1/extract", b"{", JSON, 400, "not JSON"),
        ("/v1/extract", b"{}", JSON, 400, "/url: this field is needed"),
        ("/v1/extract", b'{"url": 1}', JSON, 400, "/url: this is a string"),
        ("/v1/extract", b'{"url": "https://a.example", "text": "a"}', JSON, 400, "there are url"),
        ("/v1/extract", b'{"url": "https://a.example/"}', JSON, 403, "fetches no links"),
        ("/v1/extract", b"a", {"Content-Encoding": "br"}, 415, "gzip or deflate"),
        ("/v1/tables/write?format=doc", b"", {}, 400, "one of csv, xlsx, json"),
        ("/v1/tables/write", b"", {}, 400, "one of csv, xlsx, json"),
    ],
)
def test_what_is_refused(
    files: RunningDoor, path: str, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = files.ask("POST", path, body, headers)
    assert answer.status == status, answer.body
    assert words in answer.json["detail"]


def test_a_file_may_be_larger_than_another_body(tmp_path: Path, fake: FakeTriton) -> None:
    limits = GatewayLimits(max_body_bytes=1000, max_file_bytes=5000)
    with fake_door(tmp_path, fake, limits=limits) as door:
        assert send(door, "/v1/extract", b"word " * 1000).status == 200
        for path in ("/v1/extract", "/v1/tables/read", "/v1/tables/write?format=csv"):
            answer = send(door, path, b"word " * 1001)
            assert (answer.status, answer.json["detail"]) == (413, answer.json["detail"])
            assert "at most 5000 bytes" in answer.json["detail"]
        link = json.dumps({"url": "https://a.example/" + "a" * 1000})
        assert door.ask("POST", "/v1/extract", link, JSON).status == 413
        assert door.ask("GET", "/v1/models").json["limits"]["max_file_bytes"] == 5000


def test_a_door_starts_no_process_until_a_file_comes(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake) as door:
        assert door.ask("GET", "/healthz").status == 200
        readers = door.parts.intake.readers
        assert readers.idle_pids == ()
        assert send(door, "/v1/extract", WORDS.encode()).status == 200
        (pid,) = readers.idle_pids
    assert not Path(f"/proc/{pid}").exists(), "they end with the door"


async def test_the_whole_door_reads_files(tmp_path: Path, scripted: ScriptedTriton) -> None:
    async with scripted.listening() as address, opened(options(tmp_path, address)) as door:
        url = f"http://127.0.0.1:{door.ports['http_port']}/v1/extract"
        async with aiohttp.ClientSession() as session, session.post(url, data=page().encode()) as answer:
            assert (answer.status, (await answer.json())["title"]) == (200, "Harbour bridge to close")
        (pid,) = door.parts.intake.readers.idle_pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_each_is_logged_without_a_word_of_it(files: RunningDoor) -> None:
    send(files, "/v1/extract?name=secret.txt", b"A secret article of mine.", X_Request_Id="logged-1")
    line = next(json.loads(one) for one in files.log.getvalue().splitlines() if b"logged-1" in one)
    assert (line["route"], line["code"], line["bytes_in"]) == ("extract", "200", 25)
    assert b"secret" not in files.log.getvalue()


def test_a_table_and_an_archive_are_read(files: RunningDoor) -> None:
    pytest.importorskip("infolens.tables")
    found = send(files, "/v1/tables/read?name=a.csv", b"headline,body,link\r\nBridge,It closes.,\r\n").json
    assert (found["kind"], found["columns"]["title"], found["columns"]["text"]) == ("csv", "headline", "body")
    assert found["rows"] == [{"id": None, "title": "Bridge", "text": "It closes.", "url": None, "error": None}]
    found = send(files, "/v1/tables/read", zipped({"a.txt": b"It closes.", "b.png": b"\x89PNG\r\n\x1a\n"})).json
    assert (found["kind"], [row["id"] for row in found["rows"]]) == ("zip", ["a.txt", "b.png"])
    assert [row["error"] is None for row in found["rows"]] == [True, False]


def test_a_table_of_answers_is_written(files: RunningDoor) -> None:
    pytest.importorskip("infolens.tables")
    answer: dict[str, Any] = files.ask("POST", "/v1/analyze", json.dumps({"text": WORDS, "id": "1"}), JSON).json
    lines = [answer | {"title": "=1+1", "url": "https://a.example/"}, {"id": "2", "error": {"detail": "too long"}}]
    body = "\n".join(map(json.dumps, lines)).encode()
    for form, kind in (("csv", "text/csv; charset=utf-8"), ("json", "application/json")):
        written = send(files, f"/v1/tables/write?format={form}", body)
        assert (written.status, written.headers["Content-Type"]) == (200, kind)
        assert written.headers["Content-Disposition"] == f'attachment; filename="info-lens.{form}"'
        assert b"A summary." in written.body
        assert b"judged by wording, not checked" in written.body
    assert b"'=1+1" in send(files, "/v1/tables/write?format=csv", body).body
    assert send(files, "/v1/tables/write?format=xlsx", body).body.startswith(b"PK\x03\x04")
    for broken in (b"{", b"[]", b'"a"', b"\xff", b"[" * 100_000):
        assert "line 1 is" in send(files, "/v1/tables/write?format=csv", broken).json["detail"]
    many = b"{}\n" * 10_001
    assert "at most 10,000 rows" in send(files, "/v1/tables/write?format=csv", many).json["detail"]


def test_keys_are_needed_and_an_article_counts_as_one_inference(tmp_path: Path, fake: FakeTriton) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("few", Role.READ, rate_per_minute=1)
    with fake_door(tmp_path, fake, keys=True, keys_url=url) as door:
        for path in ("/v1/extract", "/v1/tables/read", "/v1/tables/write?format=csv"):
            assert send(door, path, b"").status == 401
        assert send(door, "/v1/extract", b"The bridge closes.", **has(key)).status == 200
        assert send(door, "/v1/extract", b"The bridge closes.", **has(key)).status == 429
        table = send(door, "/v1/tables/write?format=doc", b"", **has(key))
        assert (table.status, "one of csv" in table.json["detail"]) == (400, True), "tables take none of its minute"
