"""Connections: how many, how long without a request, and how much they may make the door hold."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving.gateway.configuration import GatewayLimits
from serving.gateway.http import protocol
from tests.serving.gateway.http.running import (
    JOIN_S,
    FakeTriton,
    RunningDoor,
    fake_door,
    infer_body,
    real_door,
    receive,
)

HEAD = b"POST /v2/models/classify/infer HTTP/1.1\r\nHost: a\r\n"


def until(true: Callable[[], bool], words: str) -> None:
    """Wait until a condition holds."""
    end_s = time.monotonic() + JOIN_S
    while not true():
        assert time.monotonic() < end_s, words
        threading.Event().wait(0.01)


def flood(connection: socket.socket, data: bytes) -> None:
    """Send for as long as the other side lets it."""
    while True:
        connection.sendall(data)


@pytest.fixture
def few(tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningDoor]:
    """A door that takes four connections, and not for long without a request."""
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(protocol, "_IDLE_S", 0.5)
    with fake_door(tmp_path, fake) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


def test_a_connection_too_many_is_told_so(few: RunningDoor) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(few.raw()) for _ in range(4)]
        for connection in held:  # each is open once it answers
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        with few.raw() as one_more:
            answer = receive(one_more)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"as many connections as it takes" in answer
    until(lambda: few.infer("classify", infer_body()).status == 200, "the door takes connections again")


@pytest.mark.parametrize("sent", [b"", b"POST /v2/models/classify/infer HTTP/1.1\r\nHo"])
def test_a_connection_without_a_whole_request_is_closed(few: RunningDoor, sent: bytes) -> None:
    with few.raw() as connection:
        connection.sendall(sent)
        assert receive(connection) == b""


def test_a_caller_who_does_not_read_is_given_up(
    tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_UNREAD_S", 0.3)
    asked = b"GET /v2/models/info_lens/config HTTP/1.1\r\nHost: a\r\n\r\n" * 1000
    with fake_door(tmp_path, fake) as door:
        with door.raw() as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
            flood(connection, asked)
        assert door.infer("classify", infer_body()).status == 200
    assert door.records == []


def test_bodies_that_do_not_end_hold_no_more_than_there_is_room_for(tmp_path: Path, fake: FakeTriton) -> None:
    large = infer_body("a" * 60_000)
    with fake_door(tmp_path, fake, limits=GatewayLimits(max_body_bytes=70_000, max_held_bytes=100_000)) as door:
        with door.raw() as connection:
            connection.sendall(HEAD + b"Content-Length: 65001\r\n\r\n" + b" " * 65_000)
            until(lambda: door.infer("classify", large).status == 429, "what the first one sent is counted")
            answer = door.infer("classify", large)
            assert "the server is busy: it holds 65000 bytes of requests" in answer.error
            assert answer.headers["Retry-After"] == "1"
            assert door.infer("classify", infer_body()).status == 200
        until(lambda: door.infer("classify", large).status == 200, "what the first one held is given back")
    assert door.records == []


def test_a_triton_that_is_away_is_503(tmp_path: Path) -> None:
    with real_door(tmp_path, "grpc://127.0.0.1:1") as door:
        for method, path in (
            ("POST", "models/classify/infer"),
            ("GET", "models/classify"),
            ("GET", ""),
            ("GET", "models/stats"),
        ):
            answer = door.ask(method, f"/v2/{path}".rstrip("/"), infer_body() if method == "POST" else None)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), path
            assert answer.error.startswith("the inference server does not answer now")
        assert door.ask("GET", "/v2/health/live").status == 200
        assert door.ask("POST", "/v2/models/nothing/infer", infer_body()).status in (404, 503)
