"""Documents that somebody changed, by the thousand: each is answered or refused, and nothing else happens."""

from __future__ import annotations

import gzip
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.gateway.api.conftest import lines
from tests.serving.gateway.http.mutations import change, spoil
from tests.serving.gateway.http.running import JOIN_S, RunningDoor
from tests.serving.gateway.http.surviving import survives

pytestmark = pytest.mark.server

ALLOWED = {200, 400, 413, 415, 504}
KEYS = ("text", "title", "id", "tasks", "summary", "deadline_ms", "partial", "min_length", "max_length", "__proto__")
TEXT = "Oil rises after output cut, and markets fall."


def documents() -> list[dict[str, Any]]:
    """Valid ones, quick to answer."""
    return [
        {"text": TEXT, "tasks": ["category"]},
        {"text": TEXT, "title": "Oil", "id": "a", "tasks": ["category", "veracity"], "partial": True},
        {"text": TEXT, "tasks": ["category"], "summary": {"max_length": 20, "length_penalty": 0.5}},
        {"text": TEXT, "tasks": ["veracity"], "deadline_ms": 20_000},
    ]


def mutated(count: int, seed: int) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers; one in six is a batch of several lines."""
    chance = random.Random(seed)

    def one() -> bytes:
        document = chance.choice(documents())
        kind = chance.randrange(3)
        if kind == 0:
            return json.dumps(change(chance, document, KEYS)).encode()
        return spoil(chance, json.dumps(document).encode()) if kind == 1 else json.dumps(document).encode()

    for number in range(count):
        if number % 6 == 0:
            yield "/v1/analyze/batch", spoil(chance, b"\n".join(one() for _ in range(chance.randrange(5)))), {}
            continue
        body, headers = one(), {}
        if number % 6 == 1:
            headers["Content-Encoding"] = chance.choice(["gzip", "deflate", "br"])
            body = gzip.compress(body, 1)
            body = spoil(chance, body) if chance.random() < 0.5 else body
        yield "/v1/analyze", body, headers


def send(door: RunningDoor, count: int, seed: int) -> Counter[int]:
    seen: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=JOIN_S)
    for path, body, headers in mutated(count, seed):
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        content = response.read()
        seen[response.status] += 1
        assert response.status in ALLOWED, (response.status, content, path, body)
        if path.endswith("batch"):
            errors = [one["error"]["status"] for one in lines(content) if "error" in one]  # type: ignore[index]
            assert set(errors) <= ALLOWED, (content, body)
        elif response.status != 200:
            assert json.loads(content)["status"] == response.status
    connection.close()
    return seen


def test_a_thousand_changed_documents(front: RunningDoor) -> None:
    survives(front, send, 1000, seed=17, answered=1 / 4, refused=1 / 8)


@pytest.mark.slow
def test_ten_thousand_changed_documents(front: RunningDoor) -> None:
    survives(front, send, 10_000, seed=18, answered=1 / 4, refused=1 / 8)
