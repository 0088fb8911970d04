"""Frames that no gRPC client sends: the door lives, its other callers are answered, and it holds no more for it.

Each is sent for a moment here, and for long in the tests that are slow.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.serving.gateway.grpc_door import frames
from tests.serving.gateway.grpc_door.frames import Connection, begin, block, connected, frame, literal
from tests.serving.gateway.http.running import ask
from tests.serving.gateway.scripted import LOCAL, SERVICE, Process, infer_request, process

NEIGHBOUR_S = 5.0
"""Within this time whoever does nothing wrong is answered."""
ROOM_BYTES = 64 * 2**20
"""The door may use so much more memory for it."""
SHORT, LONG = 2_000, 100_000
PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Abuse:
    """Something that is sent again and again."""

    content: Callable[[int], bytes]
    """By the number of the round."""
    ends: bool = True
    """Whether the door surely ends the connection for it."""
    at_first: bytes = b""


def stream_of(number: int) -> int:
    """A stream of its own for each round, as long as there are numbers."""
    return 2 * number + 1


ABUSES = {
    "pings": Abuse(content=lambda _: frame(frames.PING, payload=bytes(8))),
    "settings": Abuse(content=lambda _: frame(frames.SETTINGS, payload=struct.pack(">HI", 4, 65_535)), ends=False),
    "calls that are reset at once": Abuse(
        content=lambda number: (
            begin(stream_of(number)) + frame(frames.RST_STREAM, stream=stream_of(number), payload=struct.pack(">I", 8))
        ),
        ends=False,
    ),
    "headers without end": Abuse(
        at_first=frame(frames.HEADERS, 0, 1, block()),
        content=lambda number: frame(frames.CONTINUATION, 0, 1, literal(f"x-{number}", "y" * 1000)),
        ends=False,
    ),
    "headers without end that are empty": Abuse(
        at_first=frame(frames.HEADERS, 0, 1, block()), content=lambda _: frame(frames.CONTINUATION, 0, 1)
    ),
    "huge headers": Abuse(
        content=lambda number: begin(stream_of(number), "ServerLive", note="y" * 12_000, more="z" * 3_900),
        ends=False,
    ),
    "windows that grow by nothing": Abuse(content=lambda _: frame(frames.WINDOW_UPDATE, payload=struct.pack(">I", 0))),
    "windows that grow too much": Abuse(
        content=lambda _: frame(frames.WINDOW_UPDATE, payload=struct.pack(">I", 2**31 - 1)), ends=False
    ),
    "data of no call": Abuse(content=lambda number: frame(frames.DATA, 0, stream_of(number), bytes(1000)), ends=False),
    "streams of the other side": Abuse(content=lambda number: begin(2 * number + 2), ends=False),
    "frames of no kind": Abuse(content=lambda _: frame(0xBB, 0xFF, 0, bytes(1000)), ends=False),
    "a frame that is too long": Abuse(content=lambda _: frame(frames.DATA, 0, 1, bytes(2**20))),
    "priorities": Abuse(content=lambda _: frame(frames.PRIORITY, stream=1, payload=bytes(5)), ends=False),
    "calls without a message": Abuse(
        content=lambda number: begin(stream_of(number), flags=frames.END_STREAM), ends=False
    ),
    "what is not HTTP/2": Abuse(content=lambda _: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A door that is not disturbed by what it needs to bear."""
    with process(tmp_path_factory.mktemp("door"), "127.0.0.1:9") as door:
        yield door
        assert door.process.poll() is None


@pytest.fixture(scope="module")
def neighbour(door: Process) -> Iterator[grpc.Channel]:
    """Somebody who was there before."""
    with grpc.insecure_channel(door.grpc_url.removeprefix("grpc://"), options=LOCAL) as channel:
        yield channel


def is_answered(channel: grpc.Channel) -> bool:
    """Whether somebody who does nothing wrong is."""
    content = channel.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=NEIGHBOUR_S)
    return bool(service_pb2.ServerLiveResponse.FromString(content).live)


def resident_bytes(door: Process) -> int:
    """The memory that a door has of the machine."""
    pages = int(Path(f"/proc/{door.ports['pid']}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_memory_goes_back_after_large_messages(tmp_path: Path) -> None:
    """Without a word to the C library 200 MiB and more stay with the door."""
    content = infer_request(text="x" * (4 * 2**20 - 1000)).SerializeToString()
    with process(tmp_path, "127.0.0.1:9") as door:
        address = door.grpc_url.removeprefix("grpc://")
        with grpc.insecure_channel(address, options=LOCAL) as channel:
            assert is_answered(channel)
            before = resident_bytes(door)
            infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            calls = [infer.future(content, timeout=PATIENCE_S) for _ in range(64)]
            assert {call.code() for call in calls} == {grpc.StatusCode.UNAVAILABLE}, "there is no Triton"
        until(lambda: resident_bytes(door) <= before + ROOM_BYTES)


def until(true: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s
        threading.Event().wait(0.02)


def commit(abuse: Abuse, connection: Connection, rounds: int, meanwhile: Callable[[], bool]) -> None:
    """Send it for so many rounds, or until the door has had enough."""
    connection.send(abuse.at_first)
    for number in range(rounds):
        if not connection.send(abuse.content(number)):
            return
        if number % (rounds // 4) == 0:
            assert meanwhile()


@pytest.mark.parametrize("rounds", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ABUSES)
def test_the_door_bears_it(door: Process, neighbour: grpc.Channel, name: str, rounds: int) -> None:
    assert is_answered(neighbour)
    abuse, before = ABUSES[name], resident_bytes(door)
    with connected(door.ports["grpc_port"]) as connection:
        commit(abuse, connection, rounds, lambda: is_answered(neighbour))
        assert is_answered(neighbour)
        assert not abuse.ends or connection.ended.wait(PATIENCE_S)
    assert resident_bytes(door) < before + ROOM_BYTES
    assert is_answered(neighbour)


def test_a_caller_who_sends_nothing_more_is_answered_all_the_same(door: Process) -> None:
    with connected(door.ports["grpc_port"]) as connection:
        connection.send(begin(1, "ServerLive") + frame(frames.DATA, frames.END_STREAM, 1, bytes(5)))
        connection.close_half()
        assert connection.ended.wait(PATIENCE_S)


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", frames.PREFACE[:-2] + b"??", bytes(1000)])
def test_a_connection_that_begins_otherwise_is_closed(door: Process, neighbour: grpc.Channel, greeting: bytes) -> None:
    with connected(door.ports["grpc_port"], greeting=greeting) as connection:
        assert connection.ended.wait(PATIENCE_S)
    assert is_answered(neighbour)


def test_messages_that_do_not_end_fill_no_memory(tmp_path: Path) -> None:
    """They would be 256 MiB; the door lets 32 MiB come, and after that no more than 8 at a time."""
    size, streams = 2**20, [stream_of(number) for number in range(128)]
    limits = {"max_body_bytes": size, "max_held_bytes": 16 * size}
    with process(tmp_path, "127.0.0.1:9", limits=limits) as door, ExitStack() as stack:
        neighbour = stack.enter_context(grpc.insecure_channel(door.grpc_url.removeprefix("grpc://"), options=LOCAL))
        assert is_answered(neighbour)
        before = resident_bytes(door)
        for connection in [stack.enter_context(connected(door.ports["grpc_port"])) for _ in range(2)]:
            for stream in streams:
                connection.send(begin(stream))
                connection.send_data(stream, b"\0" + struct.pack(">I", size))
            for stream in streams:
                connection.send_data(stream, bytes(size - 1), NEIGHBOUR_S)
                assert resident_bytes(door) < before + 2 * ROOM_BYTES
            assert is_answered(neighbour)
        assert '"reason":"busy"' in door.log_file.read_text()


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_closed(door: Process, neighbour: grpc.Channel) -> None:
    with connected(door.ports["grpc_port"], greeting=b"") as connection:
        assert connection.ended.wait(PATIENCE_S)
    assert is_answered(neighbour)


@pytest.mark.parametrize("most", [8, pytest.param(1024, marks=pytest.mark.slow)])
def test_connections_too_many_are_closed_and_the_others_stay(tmp_path: Path, most: int) -> None:
    with process(tmp_path, "127.0.0.1:9", limits={"max_connections": most}) as door, ExitStack() as stack:
        address = door.grpc_url.removeprefix("grpc://")
        neighbour = stack.enter_context(grpc.insecure_channel(address, options=LOCAL))
        assert is_answered(neighbour)
        with ExitStack() as held:
            idle = [held.enter_context(connected(door.ports["grpc_port"])) for _ in range(2 * most)]
            until(lambda: sum(not connection.ended.is_set() for connection in idle) < most)  # one is the neighbour's
            assert is_answered(neighbour)
            assert ask(f"http://127.0.0.1:{door.ports['http_port']}", "GET", "/v2/health/live").status == 200
        with grpc.insecure_channel(address, options=LOCAL) as later:
            grpc.channel_ready_future(later).result(PATIENCE_S)
            assert is_answered(later)
