"""Requests that somebody changed, by the thousand: each is answered or refused, and nothing else happens."""

from __future__ import annotations

import http.client
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.serving.gateway.http.mutations import mutated
from tests.serving.gateway.http.running import JOIN_S, RunningDoor, infer_body

pytestmark = pytest.mark.server

ALLOWED = {200, 400, 404, 413, 415, 429, 503, 504}
MAX_GROWTH_BYTES = 16 * 2**20
NEIGHBOUR_S = 2.0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


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


def survives(door: RunningDoor, count: int, seed: int) -> None:
    send(door, 200, seed + 1)
    before = resident_bytes()
    seen = send(door, count, seed)
    assert seen[200] > count / 50
    assert seen[400] > count / 4
    assert resident_bytes() - before < MAX_GROWTH_BYTES
    assert [record.getMessage() for record in door.records] == []
    assert door.parts.room.running == door.parts.room.waiting == 0


def test_a_thousand_changed_requests(front: RunningDoor) -> None:
    survives(front, 1000, seed=15)


@pytest.mark.slow
def test_ten_thousand_changed_requests(front: RunningDoor) -> None:
    survives(front, 10_000, seed=16)
