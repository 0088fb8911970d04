"""Bodies that come slowly, in pieces, compressed, too large or not as HTTP has it; and callers who leave."""

from __future__ import annotations

import contextlib
import gzip
import json
import resource
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.backends.wanted import TICKET, Board
from serving.gateway.configuration import GatewayLimits
from serving.gateway.http import protocol
from tests.serving.gateway.http.running import JOIN_S, FakeTriton, RunningDoor, fake_door, infer_body, receive
from tests.serving.supervisor.running import until

HEAD = b"POST /v2/models/classify/infer HTTP/1.1\r\nHost: a\r\n"
LIMITS = GatewayLimits(max_body_bytes=65_536, min_body_time_s=0.3, max_body_time_s=1.0, min_body_bytes_per_s=1_000)


@pytest.fixture
def small(tmp_path: Path, fake: FakeTriton, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningDoor]:
    """A door with little patience."""
    monkeypatch.setattr(protocol, "_LINGER_S", 0.1)
    with fake_door(tmp_path, fake, limits=LIMITS) as door:
        yield door
    assert [record.getMessage() for record in door.records] == []


def chunks(body: bytes, size: int) -> bytes:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def works(door: RunningDoor) -> bool:
    return door.infer("classify", infer_body()).status == 200


def send(connection: socket.socket, data: bytes) -> None:
    """Send as much as the other side takes."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)


def test_a_body_too_large_is_refused_before_it_is_read(small: RunningDoor, fake: FakeTriton) -> None:
    with small.raw() as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n{")
        answer = receive(connection)
    assert status(answer) == 413
    assert b"a body has at most 65536 bytes" in answer
    with small.raw() as connection:
        send(connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b" " * 200_000, 20_000))
        assert status(receive(connection)) == 413
    assert fake.requests == []
    assert works(small)


def test_a_caller_who_waits_for_a_word_is_told_before_the_body(small: RunningDoor) -> None:
    body = infer_body().encode()
    with small.raw() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert status(connection.recv(65536)) == 200
    for line, code in (
        (b"Expect: 100-continue\r\nContent-Length: 99999999", 413),
        (b"Expect: tea\r\nContent-Length: 2", 400),
    ):
        with small.raw() as connection:
            connection.sendall(HEAD + line + b"\r\n\r\n")
            assert status(receive(connection)) == code


def test_chunks_are_put_together_and_counted(small: RunningDoor, fake: FakeTriton) -> None:
    body = infer_body("Oil rises. " * 50).encode()
    for size in (1, 7, 4096):
        with small.raw() as connection:
            connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body, size))
            assert status(receive(connection)) == 200
    assert fake.requests[0].raw_input_contents == fake.requests[2].raw_input_contents


def test_a_body_in_chunks_of_one_byte_ends_at_the_limit(small: RunningDoor, fake: FakeTriton) -> None:
    before_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with small.raw() as connection:
        send(connection, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b" " * 60_000, 1))
        answer = receive(connection)
    assert status(answer) == 413
    assert b"in at most 8192 chunks" in answer
    assert fake.requests == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before_s < 2.0


@pytest.mark.parametrize(
    "body",
    [b"5\r\nabc", b"zz\r\nabc\r\n0\r\n\r\n", b"-1\r\na\r\n", b"ffffffffffffffffff\r\na\r\n", b"1\r\nabc\r\n0\r\n\r\n"],
)
def test_chunks_that_break_the_rules(small: RunningDoor, fake: FakeTriton, body: bytes) -> None:
    with small.raw() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        assert status(receive(connection)) in (400, 408)
    assert fake.requests == []
    assert works(small)


@pytest.mark.parametrize("head", [b"Content-Length: 60000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_slow_body_is_given_up(small: RunningDoor, fake: FakeTriton, head: bytes) -> None:
    with small.raw() as connection:
        connection.sendall(HEAD + head)
        answer = receive(connection)
    assert status(answer) == 408
    assert b"only 0 bytes came" in answer
    assert fake.requests == []


def test_a_fast_beginning_does_not_buy_more_than_the_longest_time(small: RunningDoor) -> None:
    with small.raw() as connection:
        started_s = time.monotonic()
        connection.sendall(HEAD + b"Content-Length: 60000\r\n\r\n" + b" " * 59_000)
        assert status(receive(connection)) == 408
        assert time.monotonic() - started_s < JOIN_S / 2


def test_compression_bombs_end_at_the_limit(small: RunningDoor, fake: FakeTriton) -> None:
    bomb = b" " * 50_000_000
    for name, body in (("gzip", gzip.compress(bomb, 9)), ("deflate", zlib.compress(bomb, 9))):
        answer = small.infer("classify", body[:60_000], {"Content-Encoding": name})
        assert (answer.status, "at most 65536 bytes" in answer.error) == (413, True)
    assert fake.requests == []


@pytest.mark.parametrize(
    ("encoding", "body", "code", "words"),
    [
        ("br", b"{}", 415, "as gzip or deflate, not as 'br'"),
        ("gzip, gzip", b"{}", 415, "not as 'gzip, gzip'"),
        ("gzip", b"{}", 400, "not the gzip or deflate"),
        ("deflate", b"\x00\x00", 400, "not the gzip or deflate"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], 400, "cut short"),
        ("gzip", gzip.compress(b"{}", mtime=0) * 2, 400, "goes on after its end"),
        ("gzip", b"", 400, "cut short"),
        ("identity", infer_body().encode(), 200, ""),
        ("x-gzip", gzip.compress(infer_body().encode(), mtime=0), 200, ""),
    ],
)
def test_what_is_not_compressed_as_it_says(
    small: RunningDoor, encoding: str, body: bytes, code: int, words: str
) -> None:
    answer = small.infer("classify", body, {"Content-Encoding": encoding})
    assert answer.status == code
    assert words in answer.json.get("error", "")


@pytest.mark.parametrize(
    ("accepted", "used"),
    [("gzip, deflate", "gzip"), ("deflate, gzip", "deflate"), ("gzip;q=0, deflate;q=0.5", "deflate"), ("br", None)],
)
def test_answers_are_compressed_as_the_caller_likes(door: RunningDoor, accepted: str, used: str | None) -> None:
    answer = door.infer("classify", infer_body(), {"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == used
    assert json.loads(zlib.decompress(answer.body, 47) if used else answer.body)["model_name"] == "classify"


@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (
            b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
            431,
        ),
        (b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 6000 + b"\r\n") * 3 + b"\r\n", 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET /v2/health/live HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 an article\r\n\r\n", 400),
        (b"an article that is no request\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: -2\r\n\r\n{}", 400),
        (b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET /v2/models/%00/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"GET /v2/models/%ff%fe/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"GET http://[/v2 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n", 200),
    ],
)
def test_what_is_not_http_or_too_much_of_it(door: RunningDoor, request_bytes: bytes, code: int) -> None:
    with door.raw() as connection:
        send(connection, request_bytes)
        answer = receive(connection)
    assert status(answer) == code
    assert b"an article" not in answer + door.log.getvalue()
    assert code == 200 or answer.partition(b"\r\n\r\n")[2].startswith((b'{"error":', b'{"type":'))
    assert works(door)


def test_pipelined_requests_are_answered_in_order(door: RunningDoor, fake: FakeTriton) -> None:
    one = infer_body(id="%d").encode()
    sent = b""
    for number in range(100):
        body = one.replace(b"%d", b"%d" % number)
        sent += HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with door.raw() as connection:
        connection.sendall(sent + b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers = receive(connection)
    ids = [json.loads(part.partition(b"\r\n\r\n")[2])["id"] for part in answers.split(b"HTTP/1.1 ")[1:-1]]
    assert ids == [str(number) for number in range(100)]
    assert len(fake.requests) == 100


def test_a_request_behind_the_rest_of_a_refused_body_is_not_read(door: RunningDoor, fake: FakeTriton) -> None:
    hidden = infer_body().encode()
    hidden = HEAD + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    with door.raw() as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999\r\n\r\n" + hidden)
        assert receive(connection).count(b"HTTP/1.1 ") == 1
    assert fake.requests == []


@pytest.mark.parametrize("how", ["closed", "reset", "half closed"])
def test_what_a_caller_asked_is_given_up_when_it_leaves(door: RunningDoor, fake: FakeTriton, how: str) -> None:
    room = door.parts.room
    fake.answering.clear()
    body = infer_body().encode()
    with door.raw() as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert fake.arrived.wait(JOIN_S)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "half closed":
            connection.shutdown(socket.SHUT_WR)
            until(lambda: room.kept == 1)
    until(lambda: (room.running, room.kept) == (0, 1))  # the models have not answered yet
    ticket = fake.requests[0].parameters[TICKET].int64_param
    assert Board(str(door.parts.options.board_file)).has_left(ticket)
    fake.answering.set()
    until(lambda: room.kept == 0)
    assert works(door)
    assert b'"code":"499"' in door.log.getvalue()
