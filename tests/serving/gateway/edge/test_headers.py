"""What answers say to browsers, and which pages of other origins may ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.edge.options import EdgeOptions
from tests.serving.gateway.api.conftest import make_fake
from tests.serving.gateway.http.running import Answer, RunningDoor, fake_door, receive

DESK, OTHER = "https://desk.example", "https://other.example"
BODY = json.dumps({"text": "The old bridge over the harbour will close for repairs in June."})
STRICT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
CORS = "Access-Control-"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    with fake_door(tmp_path_factory.mktemp("closed"), make_fake()) as door:
        yield door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    edge = EdgeOptions(cors_origins=(DESK, "http://127.0.0.1:5173"))
    with fake_door(tmp_path_factory.mktemp("open"), make_fake(), edge=edge) as door:
        yield door


def cors(answer: Answer) -> dict[str, str]:
    return {name.removeprefix(CORS): value for name, value in answer.headers.items() if name.startswith(CORS)}


def preflight(door: RunningDoor, path: str, origin: str = DESK, method: str = "POST") -> Answer:
    return door.ask("OPTIONS", path, headers={"Origin": origin, f"{CORS}Request-Method": method})


ANSWERS = [
    ("GET", "/healthz", None, 200),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/v1/models", None, 200),
    ("POST", "/v1/analyze", BODY, 200),
    ("POST", "/v1/analyze", "{", 400),
    ("POST", "/v1/analyze/batch", BODY, 200),
    ("GET", "/nowhere", None, 404),
    ("DELETE", "/v1/analyze", None, 405),
    ("GET", "/v2", None, 200),
    ("POST", "/v2/models/nobody/infer", "{}", 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_every_answer_is_closed_to_browsers(
    closed: RunningDoor, method: str, path: str, body: str | None, status: int
) -> None:
    answer = closed.ask(method, path, body, {"Origin": DESK})
    assert answer.status == status
    assert {name: answer.headers[name] for name in STRICT} == STRICT
    assert cors(answer) == {}
    assert "Strict-Transport-Security" not in answer.headers  # this is not TLS


def test_what_is_no_http_is_answered_so_too(closed: RunningDoor) -> None:
    with closed.raw() as connection:
        connection.sendall(b"hello\r\n\r\n")
        head = receive(connection).decode()
    assert all(f"{name}: {value}\r\n" in head for name, value in STRICT.items())


def test_a_page_that_may_ask_is_told_so_and_reads_the_answer(door: RunningDoor) -> None:
    asked = preflight(door, "/v1/analyze")
    assert (asked.status, asked.body) == (204, b"")
    assert cors(asked) == {
        "Allow-Origin": DESK,
        "Allow-Methods": "POST",
        "Allow-Headers": "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-Id",
        "Max-Age": "600",
        "Expose-Headers": "X-Request-Id, X-Trace-Id, Retry-After, Infolens-Prediction",
    }
    assert asked.headers["Vary"] == "Origin"
    answer = door.ask("POST", "/v1/analyze", BODY, {"Origin": DESK, "Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, DESK)
    assert answer.headers["Vary"] == "Accept-Encoding, Origin"
    refused = door.ask("POST", "/v1/analyze", "{", {"Origin": DESK})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (400, DESK)


@pytest.mark.parametrize(
    "path", ["/v1/analyze", "/v1/analyze/batch", "/v1/models", "/healthz", "/readyz", "/v2/health/live"]
)
def test_these_paths_are_open_to_it(door: RunningDoor, path: str) -> None:
    assert preflight(door, path).status == 204
    assert preflight(door, path, "http://127.0.0.1:5173").headers["Access-Control-Allow-Origin"].endswith(":5173")


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/v2", "/v2/models/classify/infer"])
def test_and_no_others(door: RunningDoor, path: str) -> None:
    asked = preflight(door, path)
    assert (asked.status, cors(asked)) == (405, {})
    assert preflight(door, "/v1/nowhere").status == 404


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "https://desk.example.evil.example", "http://desk.example", f"{DESK}:444", f"{DESK}/"]
)
def test_another_page_is_told_nothing(door: RunningDoor, origin: str) -> None:
    asked = preflight(door, "/v1/analyze", origin)
    assert asked.status == 405
    assert cors(asked) == {}
    assert asked.headers["Vary"] == "Origin"  # a cache keeps its answer for none but it
    assert cors(door.ask("GET", "/healthz", headers={"Origin": origin})) == {}


def test_a_caller_that_is_no_browser_sees_no_difference(door: RunningDoor) -> None:
    answer = door.ask("GET", "/healthz")
    assert (answer.status, cors(answer), answer.headers["Vary"]) == (200, {}, "Origin")
    assert door.ask("OPTIONS", "/v1/analyze").status == 405


def test_all_pages_may_ask_where_that_was_said(tmp_path: Path) -> None:
    with fake_door(tmp_path, make_fake(), edge=EdgeOptions(cors_origins=("*",))) as door:
        answer = preflight(door, "/v1/analyze", OTHER)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
        assert "Vary" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers
