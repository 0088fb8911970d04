"""A line between the browser and the server that can be cut and mended, on a port that stays the same."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Line:
    """Forwards bytes to a server until it is cut.

    Args:
        target: Such as ``http://127.0.0.1:8000``.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = _listening()
        self.port: int = self._listener.getsockname()[1]
        self._whole = True
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End every connection, and take no new one."""
        with self._lock:
            self._whole = False
            # A thread waits in accept(): without this the port would stay its own.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            ended, self._open = self._open, set()
        for one in ended:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._whole = True
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                pair = (caller, server)
                if not self._whole:
                    for one in pair:
                        one.close()
                    return
                self._open.update(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := one.recv(65536):
                other.sendall(part)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._open.discard(end)


def _listening() -> socket.socket:
    """A port that no program gets by chance while the line is cut."""
    while True:
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", random.randrange(21_000, 31_000)))


@contextmanager
def line_to(target: str) -> Iterator[Line]:
    """A line that is cut at the end."""
    line = Line(target)
    try:
        yield line
    finally:
        with contextlib.suppress(OSError):  # it may be cut already
            line.cut()
