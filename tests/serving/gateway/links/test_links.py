"""A link in the place of a text: who may give one, what is read, and what the answer says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infolens import Client, RequestRejectedError
from serving.intake.fetching.options import FetchOptions
from serving.keys.records import Role
from tests.serving.gateway.access.keyed import has, made
from tests.serving.gateway.api.conftest import lines
from tests.serving.gateway.http.running import FakeTriton, RunningDoor
from tests.serving.gateway.links.linked import TEXT, Pages, Reader, analyze, linked_door


def given(fake: FakeTriton, name: str) -> bytes:
    """An input of the last request that reached the models."""
    asked = fake.requests[-1]
    place = [one.name for one in asked.inputs].index(name)
    return bytes(asked.raw_input_contents[place][4:])


def test_a_link_is_answered_as_its_text_would_be(
    door: RunningDoor, fake: FakeTriton, pages: Pages, reader: Reader
) -> None:
    answer = analyze(door, {"url": f"{pages.url}/away", "id": "desk-1"})
    assert answer.status == 200, answer.body
    found = answer.json
    assert found["article"] == {
        "url": f"{pages.url}/story",
        "title": "Oil",
        "text": TEXT,
        "author": "A. Writer",
        "date": "2026-06-01",
        "site": None,
        "language": None,
        "reviews": [
            {
                "claim": "Oil rises.",
                "rating": "Mostly true",
                "publisher": None,
                "url": "https://checks.example/1",
                "date": None,
            }
        ],
        "notes": [],
    }
    assert (found["id"], found["summary"]["text"]) == ("desk-1", "A summary.")
    assert set(found["timings"]) == {"waiting_ms", "models_ms", "fetching_ms", "total_ms"}
    assert (given(fake, "text"), given(fake, "title")) == (TEXT.encode(), b"Oil")
    assert reader.given == [(TEXT.encode(), f"{pages.url}/story", "text/html; charset=utf-8")]
    same = analyze(door, {"text": TEXT, "title": "Oil", "id": "desk-1"}).json
    assert {**found, "timings": 0, "article": 0} == {**same, "timings": 0, "article": 0}


def test_the_sdk_gives_answers_and_article(door: RunningDoor, pages: Pages) -> None:
    with Client(door.url) as client:
        found = client.analyze_url(f"{pages.url}/away", tasks=["summary", "category"])
        assert found.report == client.analyze(TEXT, title="Oil", tasks=["summary", "category"])
        assert (found.article.url, found.article.author) == (f"{pages.url}/story", "A. Writer")
        assert found.article.reviews[0]["rating"] == "Mostly true"
        with pytest.raises(RequestRejectedError, match="there is no article in this page"):
            client.analyze_url(f"{pages.url}/unreadable")


def test_a_title_counts_more_than_the_page_s(door: RunningDoor, fake: FakeTriton, pages: Pages) -> None:
    found = analyze(door, {"url": f"{pages.url}/story", "title": "Tankers"}).json
    assert found["article"]["title"] == "Tankers"
    assert given(fake, "title") == b"Tankers"


@pytest.mark.parametrize(
    ("document", "pointer", "words"),
    [
        ({"url": "SITE/story", "text": TEXT}, "/url", "leave one out"),
        ({"url": ""}, "/url", "it is empty"),
        ({"url": None}, "/url", "string"),
        ({"url": ["SITE/story"]}, "/url", "string"),
        ({"url": "http://a.example/" + "a" * 2048}, "/url", "at most 2048 characters"),
        ({"url": "file:///etc/passwd"}, "/url", "'file:' is not read"),
        ({"url": "http://127.0.0.1/"}, "/url", "leads to the public web"),
        ({"url": "http://2130706433/"}, "/url", "another form"),
        ({"url": "SITE/nothing"}, "/url", "the page answered 404 Not Found: there is no such page"),
        ({"url": "SITE/unreadable"}, "/url", "there is no article in this page"),
        ({"url": "SITE/blank"}, "/url", "what was read at the link cannot be analyzed"),
        ({"title": "Oil"}, "/text", "or url in its place"),
    ],
)
def test_a_link_that_cannot_be_read_is_told_where(
    door: RunningDoor, fake: FakeTriton, pages: Pages, document: dict[str, Any], pointer: str, words: str
) -> None:
    if isinstance(document.get("url"), str):
        document = {**document, "url": document["url"].replace("SITE", pages.url)}
    answer = analyze(door, document)
    assert (answer.status, answer.json["type"]) == (400, "/v1/problems/invalid")
    (error,) = answer.json["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert fake.requests == []


def test_no_log_has_the_link_or_what_was_read(door: RunningDoor, pages: Pages) -> None:
    for path in ("story", "unreadable"):
        analyze(door, {"url": f"{pages.url}/{path}"})
    for words in (b"story", b"unreadable", b"tankers", str(pages.port).encode()):
        assert words not in door.log.getvalue()


def test_rows_of_a_batch_give_links_too(door: RunningDoor, pages: Pages, reader: Reader) -> None:
    reader.busy = 2  # they wait for the readers as they wait for the models
    rows = [{"url": f"{pages.url}/story"}, {"text": TEXT}, {"url": f"{pages.url}/nothing"}] * 7
    body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    found: Any = lines(door.ask("POST", "/v1/analyze/batch", body).body)
    assert [("article" in one, "error" in one) for one in found] == [(True, False), (False, False), (False, True)] * 7
    assert found[2]["error"]["errors"][0]["pointer"] == "/url"


def test_a_server_may_fetch_nothing(tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader) -> None:
    with linked_door(tmp_path, fake, pages, reader, fetch=FetchOptions(allowed=False)) as door:
        answer = analyze(door, {"url": f"{pages.url}/story"})
        told = door.ask("GET", "/v1/models").json["fetches"]
    assert (answer.status, answer.json["type"]) == (403, "/v1/problems/forbidden")
    assert told == {"allowed": False, "why_not": answer.json["detail"]}
    assert "this server fetches no links" in told["why_not"]
    assert pages.paths == []


def test_a_server_for_everybody_fetches_nothing_by_itself(
    tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader
) -> None:
    with linked_door(tmp_path, fake, pages, reader, host="0.0.0.0", keys=False) as door:
        assert analyze(door, {"url": f"{pages.url}/story"}).status == 403
    assert pages.paths == []


def test_a_key_needs_the_role(tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader) -> None:
    store, url = made(tmp_path)
    keys = {role: store.create(role.value, role)[0] for role in Role}
    link = {"url": f"{pages.url}/story"}
    statuses, told = {}, {}
    with linked_door(tmp_path, fake, pages, reader, keys=True, keys_url=url) as door:
        assert analyze(door, link).status == 401
        for role, key in keys.items():
            statuses[role] = analyze(door, link, has(key)).status
            told[role] = door.ask("GET", "/v1/models", headers=has(key)).json.get("fetches")
        rows: list[Any] = [
            lines(door.ask("POST", "/v1/analyze/batch", json.dumps(link), has(keys[role])).body)[0]
            for role in (Role.READ, Role.FETCH)
        ]
        assert analyze(door, {"text": TEXT}, has(keys[Role.FETCH])).status == 200
    store.close()
    assert statuses == {Role.READ: 403, Role.FETCH: 200, Role.FEEDBACK: 403, Role.ADMIN: 200}
    words = "to have links fetched, the key 'read' has the role 'read', and this needs 'fetch' or 'admin'"
    assert told[Role.READ]["why_not"].startswith(words)
    assert told[Role.FETCH] == told[Role.ADMIN] == {"allowed": True, "why_not": ""}
    assert rows[0]["error"]["type"] == "/v1/problems/forbidden"
    assert rows[1]["article"]["text"] == TEXT
    assert len(pages.paths) == 3


def test_a_link_is_one_inference_of_its_key(tmp_path: Path, fake: FakeTriton, pages: Pages, reader: Reader) -> None:
    store, url = made(tmp_path)
    key, _ = store.create("desk", Role.FETCH, rate_per_minute=2)
    with linked_door(tmp_path, fake, pages, reader, keys=True, keys_url=url) as door:
        statuses = [analyze(door, {"url": f"{pages.url}/story"}, has(key)).status for _ in range(3)]
    store.close()
    assert statuses == [200, 200, 429]
    assert len(pages.paths) == 2
