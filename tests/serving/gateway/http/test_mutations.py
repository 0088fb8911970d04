"""Requests that somebody changed, by the thousand: each is answered or refused, and nothing else happens."""

from __future__ import annotations

import http.client
import time
from collections import Counter

import pytest

from tests.serving.gateway.http.mutations import mutated
from tests.serving.gateway.http.running import JOIN_S, RunningDoor, infer_body
from tests.serving.gateway.http.surviving import survives

pytestmark = pytest.mark.server

ALLOWED = {200, 400, 404, 413, 415, 429, 503, 504}
NEIGHBOUR_S = 2.0


def send(door: RunningDoor, count: int, seed: int) -> Counter[int]:
    """Send changed requests on one connection after the other, and a good one now and then."""
    seen: Counter[int] = Counter()
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=JOIN_S)
    for number, (path, body, headers) in enumerate(mutated(count, seed)):
        connection.request("POST", f"/v2/models/classify/{path}", body, headers)
        response = connection.getresponse()
        content = response.read()
        seen[response.status] += 1
        assert response.status in ALLOWED, (response.status, content, path, body, headers)
        assert response.status != 503, (content, path, body, headers)
        assert response.status == 200 or content.startswith(b'{"error":"'), content
        if number % 100 == 99:
            started_s = time.monotonic()
            assert door.infer("classify", infer_body()).status == 200
            assert time.monotonic() - started_s < NEIGHBOUR_S
    connection.close()
    return seen


def test_a_thousand_changed_requests(front: RunningDoor) -> None:
    survives(front, send, 1000, seed=15, answered=1 / 50, refused=1 / 4)


@pytest.mark.slow
def test_ten_thousand_changed_requests(front: RunningDoor) -> None:
    survives(front, send, 10_000, seed=16, answered=1 / 50, refused=1 / 4)
