"""What goes over the socket comes out as it went in, and nonsense ends the connection and nothing else."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.sessions.host import Host
from engine.sessions.places import connect
from engine.sessions.wire import MOST_NUMBERS_BYTES, Kind, Message, ProtocolError, receive, send
from tests.engine.sessions.conftest import Ask
from tests.serving.backends.test_backend_gpu import feeds


def message(words: Any, numbers: bytes = b"", *, kind: int = Kind.OPEN, name: bytes = b"ILG1") -> bytes:
    text = json.dumps(words).encode() if not isinstance(words, bytes) else words
    return struct.pack("<4sBxxxII", name, kind, len(text), len(numbers)) + text + numbers


def array(**described: Any) -> dict[str, Any]:
    return {"arrays": [{"name": "x", "dtype": "int32", "shape": [1], **described}]}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_arrays_come_out_as_they_went_in(pair: tuple[socket.socket, socket.socket]) -> None:
    dtypes = ("bool", "uint8", "int32", "int64", "float16", "float32", "float64")
    sent = {name: np.arange(6).reshape(2, 3).astype(name) for name in dtypes}
    sent |= {"none": np.zeros((0, 5), np.int32), "one": np.array(3, np.int64), "turned": sent["int32"].T}
    send(pair[0], Message(kind=Kind.RUN, words={"outputs": ["ä"]}, arrays=sent))
    got = receive(pair[1])
    assert got is not None
    assert (got.kind, got.words, list(got.arrays)) == (Kind.RUN, {"outputs": ["ä"]}, list(sent))
    for name, expected in sent.items():
        assert got.arrays[name].dtype == expected.dtype
        assert got.arrays[name].flags.aligned
        np.testing.assert_array_equal(got.arrays[name], expected)
    pair[0].close()
    assert receive(pair[1]) is None


def test_what_is_no_tensor_is_not_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ValueError, match="x is object"):
        send(pair[0], Message(kind=Kind.RUN, arrays={"x": np.array([b"text"], object)}))


NONSENSE = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "too large": struct.pack("<4sBxxxII", b"ILG1", 1, 2, MOST_NUMBERS_BYTES + 1),
    "no JSON": message(b"{"),
    "no object": message([]),
    "a kind that is none": message({"arrays": []}, kind=99),
    "no arrays": message({}),
    "deep": message(b"[" * 100_000),
    "too few numbers": message(array(), b"abc", kind=Kind.RUN),
    "too many numbers": message(array(), b"abcdefgh", kind=Kind.RUN),
    "a dtype that is none": message(array(dtype="object"), b"abcdefgh", kind=Kind.RUN),
    "less than nothing": message(array(shape=[-1, -1]), b"abcd", kind=Kind.RUN),
    "many dimensions": message(array(shape=[1] * 40), b"abcd", kind=Kind.RUN),
    "a name that is none": message(array(name=[]), b"abcd", kind=Kind.RUN),
}


@pytest.mark.parametrize("bytes_sent", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_no_message(bytes_sent: bytes, pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(bytes_sent)
    with pytest.raises(ProtocolError):
        receive(pair[1])


@pytest.mark.parametrize(
    "bytes_sent",
    [
        *NONSENSE.values(),
        message({"arrays": []}, kind=Kind.ANSWER),
        message({"arrays": [], "config": "none", "kind": "CPU", "number": 0, "version": "/"}),
        message({"arrays": [], "config": {}, "kind": "CPU", "version": "/"}),
    ],
)
def test_who_sends_nonsense_is_cut_off_and_others_are_not(bytes_sent: bytes, host: Host, place: Path, ask: Ask) -> None:
    session = ask()
    with connect(place) as stranger:
        stranger.settimeout(30)
        stranger.sendall(bytes_sent)
        with contextlib.suppress(ConnectionResetError):  # where more was sent than was read
            assert stranger.recv(1) == b""
    assert len(session.run(["sums"], feeds(1, 4))) == 1
