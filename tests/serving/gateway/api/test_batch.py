"""Many articles in one request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.backends.wanted import TICKET, Board
from serving.gateway.configuration import GatewayLimits, RoomLimits
from serving.gateway.refusals import Refusal, RefusedError
from tests.serving.gateway.api.conftest import lines
from tests.serving.gateway.http.running import Answer, FakeTriton, RunningDoor, fake_door, receive
from tests.serving.supervisor.running import until

TEXT = "Oil rises as tankers wait."


def row(**fields: Any) -> bytes:
    return json.dumps({"text": TEXT, **fields}).encode() + b"\n"


def ask(door: RunningDoor, body: bytes | Iterator[bytes], query: str = "") -> Answer:
    return door.ask("POST", f"/v1/analyze/batch{query}", body)  # type: ignore[arg-type]


def test_each_row_is_answered_in_its_place(door: RunningDoor) -> None:
    answer = ask(door, b"".join(row(id=f"n{place}") for place in range(200)))
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    found = lines(answer.body)
    assert [one["index"] for one in found] == list(range(200))
    assert [one["id"] for one in found] == [f"n{place}" for place in range(200)]
    assert found[7]["summary"]["text"] == "A summary."


def test_a_bad_row_is_one_bad_row(door: RunningDoor) -> None:
    body = row(id="a") + b"no json\n" + b"\n   \n" + row(id="c", tasks=["mood"]) + row(text=" ") + row(id="e")
    found = lines(ask(door, body).body)
    assert [one["index"] for one in found] == [0, 1, 2, 3, 4]  # blank lines are no rows
    assert ["error" in one for one in found] == [False, True, True, True, False]
    assert found[2]["id"] == "c"
    error: Any = found[2]["error"]
    assert (error["status"], error["errors"][0]["pointer"]) == (400, "/tasks/0")
    assert "id" not in found[1]


def test_the_last_line_needs_no_end(door: RunningDoor) -> None:
    assert len(lines(ask(door, row() + row().rstrip()).body)) == 2


def test_the_mark_at_the_start_of_a_file_from_windows_is_no_part_of_its_first_row(door: RunningDoor) -> None:
    mark = b"\xef\xbb\xbf"
    for body in (mark + row(id="a") + row(), mark + row(id="a").rstrip()):
        assert lines(ask(door, body).body)[0]["id"] == "a"
    assert "error" in lines(ask(door, row() + mark + row()).body)[1]


def test_a_line_that_comes_byte_by_byte_ends_the_batch(tmp_path: Path, fake: FakeTriton) -> None:
    head = b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with fake_door(tmp_path, fake, limits=GatewayLimits(max_body_time_s=0.3)) as door, door.raw() as connection:
        connection.sendall(head)
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.02):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        answer = b""
        while b"/v1/problems/too_slow" not in answer and (part := connection.recv(65_536)):
            answer += part
        ended.set()
        thread.join()
    assert b"/v1/problems/too_slow" in answer


def test_what_must_be_looked_up_at_a_triton_that_is_away_waits_too(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake) as door:
        assert "error" not in lines(ask(door, row()).body)[0]
        catalogue, away = door.parts.catalogue, [3]
        find = catalogue.find

        async def away_at_first(*given: Any) -> Any:
            if away[0]:
                away[0] -= 1
                raise RefusedError(Refusal.AWAY, "the inference server does not answer now", retry_after_s=0.01)
            return await find(*given)

        catalogue.find = away_at_first
        found = lines(ask(door, row() * 5).body)
    assert not any("error" in one for one in found)
    assert away == [0]


@pytest.mark.parametrize("body", [b"", b"\n\n \n"])
def test_an_empty_batch_has_an_empty_answer(door: RunningDoor, body: bytes) -> None:
    answer = ask(door, body)
    assert (answer.status, answer.body) == (200, b"")


def test_an_answer_comes_before_the_next_row_is_sent(door: RunningDoor) -> None:
    head = b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with door.raw() as connection, connection.makefile("rb") as answer:
        connection.sendall(head)
        for place in range(3):
            one = row(id=f"n{place}")
            connection.sendall(b"%x\r\n%b\r\n" % (len(one), one))
            while b'"index"' not in (line := answer.readline()):
                assert line
            assert json.loads(line)["id"] == f"n{place}"
        connection.sendall(b"0\r\n\r\n")


def test_as_finished_a_slow_row_keeps_nobody_waiting(door: RunningDoor, fake: FakeTriton) -> None:
    def rows() -> Iterator[bytes]:
        fake.answering.clear()
        yield row(id="slow")
        assert fake.arrived.wait(30)
        yield b'{"text": 7, "id": "refused"}\n'

    def let_go() -> None:
        assert fake.arrived.wait(30)
        fake.answering.set()

    thread = threading.Thread(target=let_go)
    thread.start()
    found = lines(ask(door, rows(), "?order=finished").body)
    thread.join()
    assert {one["id"] for one in found} == {"slow", "refused"}
    assert {one["index"] for one in found} == {0, 1}


def test_rows_wait_for_a_busy_server(tmp_path: Path, fake: FakeTriton) -> None:
    refused = [3]

    class Busy(FakeTriton):
        async def infer(self, request: bytes, timeout_s: float | None = None, *, trailers: Any = None) -> bytes:
            if refused[0]:
                refused[0] -= 1
                raise RefusedError(Refusal.BUSY, "the server is busy: try again later", retry_after_s=0.01)
            return await super().infer(request, timeout_s, trailers=trailers)

    busy = Busy()
    busy.values = fake.values
    with fake_door(tmp_path, busy, room=RoomLimits(max_running=1, max_waiting=1)) as door:
        found = lines(ask(door, row() * 30).body)
    assert [one["index"] for one in found] == list(range(30))
    assert not any("error" in one for one in found)


def test_a_row_waits_no_longer_than_its_deadline(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake) as door:
        assert "error" not in lines(ask(door, row()).body)[0]
        fake.failure = RefusedError(Refusal.BUSY, "the server is busy: try again later", retry_after_s=0.01)
        (found,) = lines(ask(door, row(deadline_ms=80)).body)
    error: Any = found["error"]
    assert error["type"] == "/v1/problems/late"


def test_a_line_that_is_too_long_is_one_bad_row(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, limits=GatewayLimits(max_body_bytes=100_000)) as door:
        found = lines(ask(door, row(id="a") + b"x" * 400_000 + b"\n" + row(id="c")).body)
    assert [one.get("id") for one in found] == ["a", None, "c"]
    error: Any = found[1]["error"]
    assert (error["status"], error["type"]) == (413, "/v1/problems/too_large")


def test_a_batch_that_does_not_go_on_is_ended(tmp_path: Path, fake: FakeTriton) -> None:
    with fake_door(tmp_path, fake, limits=GatewayLimits(max_body_time_s=0.3)) as door, door.raw() as connection:
        one = row()
        connection.sendall(b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + one)
        answer = receive(connection)
    assert b'"index":0' in answer
    assert b'"index":null' in answer
    assert b"/v1/problems/too_slow" in answer


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?order=random", {}, 400),
        ("?sort=input", {}, 400),
        ("", {"Content-Encoding": "gzip"}, 415),
        ("", {"Expect": "something"}, 400),
    ],
)
def test_a_batch_that_cannot_begin_is_refused(
    door: RunningDoor, query: str, headers: dict[str, str], status: int
) -> None:
    answer = door.ask("POST", f"/v1/analyze/batch{query}", row(), headers)
    found = answer.json
    assert (found.get("status") or found["error"]["status"]) == status


def test_a_caller_who_leaves_ends_the_batch(door: RunningDoor, fake: FakeTriton) -> None:
    fake.answering.clear()
    with door.raw() as connection:
        connection.sendall(b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + row() * 40)
        assert fake.arrived.wait(30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    room, board = door.parts.room, Board(str(door.parts.options.board_file))
    until(lambda: (room.running, room.waiting) == (0, 0))
    assert all(board.has_left(one.parameters[TICKET].int64_param) for one in fake.requests)
    assert len(fake.requests) < 40
    fake.answering.set()
    until(lambda: room.kept == 0)
    assert lines(ask(door, row()).body)[0]["index"] == 0


@pytest.mark.parametrize("busy", [True, False])
def test_a_server_that_stops_says_so_in_a_last_line(door: RunningDoor, fake: FakeTriton, busy: bool) -> None:
    if busy:
        fake.answering.clear()
    with door.raw() as connection, connection.makefile("rb") as answer:
        connection.sendall(b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + row())
        assert fake.arrived.wait(30)
        if not busy:
            while b'"index":0' not in answer.readline():
                pass
        door.call(door.parts.room.close)
        fake.answering.set()
        last = b""
        while (line := answer.readline()) not in (b"", b"0\r\n"):
            last = line if line.startswith(b"{") else last
    assert json.loads(last)["index"] is None
    assert json.loads(last)["error"]["type"] == "/v1/problems/away"


def test_who_sends_all_before_reading_is_answered(door: RunningDoor) -> None:
    """Far more than sockets hold: 3,000 answers of some 900 bytes."""
    body = row() * 3000
    head = b"POST /v1/analyze/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with door.raw() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(head + body)
        assert receive(connection).count(b'"index":') == 3000


def test_rows_are_counted(door: RunningDoor) -> None:
    ask(door, row() * 3 + b"{}\n")
    registry = door.parts.metrics.registry
    assert registry.get_sample_value("infolens_batch_rows_total", {"outcome": "answered"}) == 3
    assert registry.get_sample_value("infolens_batch_rows_total", {"outcome": "invalid"}) == 1
