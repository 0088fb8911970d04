"""Keys in the JSON API: problem documents, and batches that wait for their rate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limits import RateLimitItemPerSecond
from openapi_spec_validator import validate

from serving.gateway.access import rates
from serving.keys.records import Role
from serving.keys.store import KeyStore
from tests.serving.gateway.access.keyed import STRANGE, has, made
from tests.serving.gateway.api.conftest import lines, make_fake
from tests.serving.gateway.api.test_schemathesis import run
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door
from tests.serving.supervisor.running import until

ARTICLE = json.dumps({"text": "Oil rises as tankers wait."})
ROW = f"{ARTICLE}\n"
HURRIED = json.dumps({"text": "Oil rises as tankers wait.", "deadline_ms": 500}) + "\n"


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    store, _ = made(tmp_path)
    return store


@pytest.fixture
def key(store: KeyStore) -> str:
    return store.create("newsroom", Role.READ, rate_per_minute=3, concurrency=1)[0]


@pytest.fixture
def door(tmp_path: Path, fake: FakeTriton, key: str) -> Iterator[RunningDoor]:
    """It wants keys."""
    with fake_door(tmp_path, fake, keys=True, keys_url=made(tmp_path)[1]) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


def analyze(door: RunningDoor, headers: dict[str, str]) -> Answer:
    return door.ask("POST", "/v1/analyze", ARTICLE, headers)


def batch(door: RunningDoor, body: str, key: str) -> list[dict[str, Any]]:
    answer = door.ask("POST", "/v1/analyze/batch", body, has(key))
    assert answer.status == 200
    return lines(answer.body)


def kind(problem: Any) -> str:
    return str(problem["type"]).removeprefix("/v1/problems/")


def test_what_is_refused_is_a_problem_document(door: RunningDoor, store: KeyStore, key: str) -> None:
    for headers in ({}, has(STRANGE)):
        answer = analyze(door, headers)
        assert (answer.status, kind(answer.json)) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Content-Type"] == "application/problem+json"
    feedback, _ = store.create("desk", Role.FEEDBACK)
    answer = analyze(door, has(feedback))
    assert (answer.status, kind(answer.json)) == (403, "forbidden")
    for _ in range(3):
        assert analyze(door, has(key)).status == 200
    answer = analyze(door, has(key))
    assert (answer.status, kind(answer.json)) == (429, "limited")
    assert answer.json["retry_after_ms"] > 0
    assert int(answer.headers["Retry-After"]) >= 1
    assert door.ask("GET", "/v1/models", headers=has(key)).status == 200
    assert door.ask("GET", "/v1/models").status == door.ask("GET", "/v1/models/summary/card").status == 401


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/healthz", "/readyz", "/v1/problems/limited"])
def test_what_is_open_needs_no_key(door: RunningDoor, path: str) -> None:
    assert door.ask("GET", path).status == 200


def test_each_row_of_a_batch_takes_one_of_the_rate(door: RunningDoor, key: str) -> None:
    found = batch(door, "no json\n" + HURRIED * 5, key)
    refused = [kind(one["error"]) for one in found if "error" in one]
    assert (len(found), refused) == (6, ["invalid", "limited", "limited"]), "what was never asked takes none"
    assert analyze(door, has(key)).status == 429


def test_rows_wait_for_their_rate(door: RunningDoor, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_per_minute", RateLimitItemPerSecond)
    found = batch(door, ROW * 7, key)
    assert [one["index"] for one in found] == list(range(7))
    assert not any("error" in one for one in found)


def test_a_batch_is_one_request_at_a_time(door: RunningDoor, fake: FakeTriton, key: str) -> None:
    def rows() -> Iterator[bytes]:
        yield ROW.encode() * 3
        assert fake.arrived.wait(30)
        assert analyze(door, has(key)).status == 429
        assert kind(analyze(door, has(key)).json) == "limited"

    answer = door.ask("POST", "/v1/analyze/batch", rows(), has(key))  # type: ignore[arg-type]
    assert [("error" in one) for one in lines(answer.body)] == [False] * 3


def test_a_batch_answers_no_row_more_once_its_key_is_revoked(
    door: RunningDoor, fake: FakeTriton, store: KeyStore
) -> None:
    key, _ = store.create("desk", Role.READ)

    def rows() -> Iterator[bytes]:
        yield ROW.encode()
        assert fake.arrived.wait(30)
        store.revoke("desk")
        until(lambda: analyze(door, has(key)).status == 401)
        yield ROW.encode()

    answer = door.ask("POST", "/v1/analyze/batch", rows(), has(key))  # type: ignore[arg-type]
    first, second, last = lines(answer.body)
    assert "error" not in first
    assert kind(second["error"]) == "unauthenticated"
    assert (last["index"], kind(last["error"])) == (None, "unauthenticated")


def test_a_batch_without_a_key_is_not_read(door: RunningDoor, fake: FakeTriton) -> None:
    answer = door.ask("POST", "/v1/analyze/batch", ROW)
    assert (answer.status, kind(answer.json)) == (401, "unauthenticated")
    assert fake.requests == []


def test_the_openapi_document_says_what_needs_a_key(door: RunningDoor) -> None:
    found = door.ask("GET", "/openapi.json").json
    validate(found)
    secured = {path for path, methods in found["paths"].items() for one in methods.values() if "security" in one}
    files = {"/v1/extract", "/v1/tables/read", "/v1/tables/write"}
    models = {"/v1/models", "/v1/models/{task}/card", "/v1/quality"}
    kept = {"/v1/reports/{id}", "/v1/feedback", "/v1/predictions/{id}", "/v1/predictions/{id}/audit"}
    assert secured == {"/v1/analyze", "/v1/analyze/batch", *kept, *models, *files}
    assert "security" not in found["paths"]["/v1/reports/{id}"]["get"]
    codes = found["paths"]["/v1/analyze"]["post"]["responses"]
    assert {"401", "403", "429", "503"} <= codes.keys()
    assert "server is busy" in codes["429"]["description"]
    assert "The API key asks too much" in codes["429"]["description"]


@pytest.mark.long
def test_a_door_that_wants_keys_answers_as_its_document_says(tmp_path: Path, store: KeyStore) -> None:
    key, _ = store.create("tester", Role.READ, rate_per_minute=100_000)
    with fake_door(tmp_path, make_fake(), keys=True, keys_url=made(tmp_path)[1]) as door:
        run(door.url, 5, tmp_path, "--header", f"Authorization: Bearer {key}")
    assert [record.getMessage() for record in door.records] == []
