"""HTTP/2 in frames, for connections as no gRPC client would make them (RFC 9113; header blocks as in RFC 7541)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
WINDOW = 65_535
FRAME = 16_384
PATIENCE_S = 60.0


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field that no table is told of."""
    return b"\x00" + b"".join(_length(len(text)) + text.encode() for text in (name, value))


def _length(size: int) -> bytes:
    if size < 127:
        return bytes([size])
    size, encoded = size - 127, b"\x7f"
    while size >= 128:
        encoded, size = encoded + bytes([size % 128 | 128]), size // 128
    return encoded + bytes([size])


def block(method: str = "ModelInfer", **more: str) -> bytes:
    """The header block of a call."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/inference.GRPCInferenceService/{method}",
        ":authority": "a",
        "te": "trailers",
        "content-type": "application/grpc",
        **more,
    }
    return b"".join(literal(name, value) for name, value in fields.items())


def begin(stream: int, method: str = "ModelInfer", flags: int = 0, **more: str) -> bytes:
    """The frame that begins a call."""
    return frame(HEADERS, END_HEADERS | flags, stream, block(method, **more))


class Connection:
    """One connection, and what comes on it, which a thread of its own reads.

    Attributes:
        came: How many frames of each kind have come.
        ended: Set once the other side has closed the connection.
    """

    def __init__(self, port: int, *, greeting: bytes = PREFACE + frame(SETTINGS)) -> None:
        self.came: Counter[int] = Counter()
        self.ended = threading.Event()
        self._first: int = WINDOW
        self._whole: int = WINDOW
        self._windows: defaultdict[int, int] = defaultdict(lambda: self._first)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._answers: deque[bytes] = deque()
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._thread = threading.Thread(target=self._read)
        self.send(greeting)
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE_S)

    def close_half(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, content: bytes) -> bool:
        """Send whole frames; whether the other side still takes them."""
        with self._sending:
            self._send(content)
        return not self.ended.is_set()

    def _send(self, content: bytes) -> None:
        while self._answers:
            content = self._answers.popleft() + content
        try:
            self._socket.sendall(content)
        except OSError:
            self.ended.set()

    def _answer(self, content: bytes) -> None:
        """Send a frame, or have it sent with the next one: whoever reads never waits for whoever sends."""
        self._answers.append(content)
        if self._sending.acquire(blocking=False):
            try:
                self._send(b"")
            finally:
                self._sending.release()

    def send_data(self, stream: int, content: bytes, patience_s: float = PATIENCE_S) -> int:
        """Send data as far as the windows of the other side let it; how many bytes that were."""
        place = 0
        while place < len(content) and not self.ended.is_set():
            with self._changed:
                if not self._changed.wait_for(lambda: self._room(stream) > 0 or self.ended.is_set(), patience_s):
                    break
                size = min(self._room(stream), FRAME, len(content) - place)
                self._windows[stream] -= size
                self._whole -= size
            if size <= 0 or not self.send(frame(DATA, 0, stream, content[place : place + size])):
                break
            place += size
        return place

    def _room(self, stream: int) -> int:
        return min(self._windows[stream], self._whole)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            for kind, flags, stream, payload in self._frames():
                with self._changed:
                    self.came[kind] += 1
                    if kind == WINDOW_UPDATE:
                        size = struct.unpack(">I", payload)[0]
                        if stream:
                            self._windows[stream] += size
                        else:
                            self._whole += size
                    elif kind == SETTINGS and not flags & ACK:
                        for number, value in struct.iter_unpack(">HI", payload):
                            if number == 4:
                                for one in self._windows:
                                    self._windows[one] += value - self._first
                                self._first = value
                    self._changed.notify_all()
                if kind == SETTINGS and not flags & ACK:
                    self._answer(frame(SETTINGS, ACK))
                elif kind == PING and not flags & ACK:
                    self._answer(frame(PING, ACK, 0, payload))
        self.ended.set()
        with self._changed:
            self._changed.notify_all()

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        buffer = bytearray()
        while part := self._socket.recv(1 << 16):
            buffer += part
            while len(buffer) >= 9 and len(buffer) >= 9 + (size := int.from_bytes(buffer[:3])):
                kind, flags, stream = struct.unpack(">BBI", buffer[3:9])
                yield kind, flags, stream & 0x7FFFFFFF, bytes(buffer[9 : 9 + size])
                del buffer[: 9 + size]


@contextlib.contextmanager
def connected(port: int, **more: bytes) -> Iterator[Connection]:
    """A connection that is left in the end."""
    connection = Connection(port, **more)
    try:
        yield connection
    finally:
        connection.close()
