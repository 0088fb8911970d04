"""The side of the process that owns a GPU: it opens the models that others ask it for, and runs their batches.

Each connection has a thread and a session of its own, which live as long as it does. The socket is a file that only its
owner's processes can reach.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from engine.sharing import OPENING, bear_captures

from .opening import Opened, Wanted, open_model
from .places import at, connect
from .wire import Kind, Message, ProtocolError, receive, send

Open = Callable[[Wanted], Opened]

MOST_CONNECTIONS: Final = 64
_END_S: Final = 10.0
"""How long runs may take that are under way when the host is closed."""
_PEER: Final = struct.Struct("3i")
"""The kernel's ``struct ucred``: process, user and group."""
_LOG = logging.getLogger(__name__)


class Host:
    """Opens models for others and runs them. Every method may be called from every thread.

    Args:
        path: The file of the socket; its folder is the user's alone.
        operators: The library of native operators, if there is one.
        open_model: Opens a model, on the thread that will run it.
    """

    def __init__(self, path: Path, operators: Path | None = None, open_model: Open | None = None) -> None:
        self._path = path
        self._open = open_model or partial(_open, operators=operators)
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        self._closing = False

    @property
    def connections(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._connections)

    def start(self) -> None:
        """Listen, unless another host does at this place: that is one which this one will follow.

        Raises:
            OSError: The folder cannot be written.
        """
        with contextlib.suppress(OSError), connect(self._path):
            return
        self.take_over()

    def take_over(self) -> None:
        """Listen in the place of any other host; does nothing where this one listens already.

        Raises:
            OSError: The folder cannot be written.
        """
        with self._lock:
            if self._listener is not None or self._closing:
                return
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}-{id(self):x}")
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have tidied up
                with at(fresh) as name:
                    listener.bind(name)
                fresh.chmod(0o600)
                listener.listen(MOST_CONNECTIONS)
                found = fresh.stat()
                fresh.replace(self._path)
            except BaseException:
                listener.close()
                fresh.unlink(missing_ok=True)
                raise
            self._listener, self._file = listener, (found.st_dev, found.st_ino)
        threading.Thread(target=self._accept, args=(listener,), name="gpu host", daemon=True).start()

    def close(self, *, handing_over_s: float = 0.0) -> None:
        """Take no more connections, answer what runs, end the connections and free their memory.

        Args:
            handing_over_s: How long to go on for those who are connected, where another host listens in this one's
                place: they find it by themselves.
        """
        with self._lock:
            self._closing, listener = True, self._listener
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            if self._is_ours():
                self._path.unlink(missing_ok=True)
            else:
                self._wait(handing_over_s)
        with self._lock:
            left = dict(self._connections)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)  # what is being answered still goes out
        end_s = time.monotonic() + _END_S
        for thread in left.values():
            thread.join(max(0.0, end_s - time.monotonic()))
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _wait(self, longest_s: float) -> None:
        with self._lock:
            threads = list(self._connections.values())
        end_s = time.monotonic() + longest_s
        for thread in threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def _is_ours(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._file

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._closing:
                    return
                _LOG.warning("a connection to the host of the GPU cannot be taken: %s", error)
                time.sleep(0.1)  # such as no more files that can be opened
                continue
            with self._lock:
                if self._closing or len(self._connections) >= MOST_CONNECTIONS or not _is_own(connection):
                    connection.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(connection,), name="gpu session", daemon=True)
                self._connections[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            opened = self._opened(connection)
            if opened is not None:
                try:
                    self._run(connection, opened)
                finally:
                    opened.close()
        except (ProtocolError, OSError) as error:
            if isinstance(error, ProtocolError):
                _LOG.warning("a connection to the host of the GPU was closed: %s", error)
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            connection.close()

    def _opened(self, connection: socket.socket) -> Opened | None:
        """The model that is asked for first; None where none is, or it cannot be opened, which is answered."""
        message = receive(connection)
        if message is None:
            return None
        try:
            wanted = _wanted(message)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"the first message asks for a model ({error})") from error
        opened = None
        try:
            with OPENING:
                if self._closing:
                    return None
                opened = self._open(wanted)
        except Exception as error:
            send(connection, Message(kind=Kind.ERROR, words={"words": _words(error)}))
            return None
        try:
            send(connection, Message(kind=Kind.READY, words=_counted(opened)))
        except BaseException:
            opened.close()
            raise
        return opened

    def _run(self, connection: socket.socket, opened: Opened) -> None:
        while (message := receive(connection)) is not None:
            outputs = message.words.get("outputs")
            if message.kind is not Kind.RUN or not isinstance(outputs, list):
                raise ProtocolError(f"a message asks for a run, not {message.kind.name}")
            try:
                arrays = opened.run(outputs, message.arrays)
                answer = Message(
                    kind=Kind.ANSWER, words=_counted(opened), arrays=dict(zip(outputs, arrays, strict=True))
                )
            except Exception as error:
                answer = Message(kind=Kind.ERROR, words={"words": _words(error)})
            try:
                send(connection, answer)
            except ValueError as error:
                send(connection, Message(kind=Kind.ERROR, words={"words": _words(error)}))


def _open(wanted: Wanted, operators: Path | None) -> Opened:
    if wanted.kind == "GPU":
        bear_captures()
    # The connection's thread runs everything: each change of threads waits for those of the engine.
    return open_model(wanted, operators, apart=False)


def _wanted(message: Message) -> Wanted:
    words = message.words
    if message.kind is not Kind.OPEN or message.arrays or not isinstance(words["config"], dict):
        raise ValueError("it is none")
    return Wanted(
        config=words["config"], kind=str(words["kind"]), number=int(words["number"]), version=Path(words["version"])
    )


def _counted(opened: Opened) -> dict[str, Any]:
    counted = opened.counted
    return {} if counted is None else {"counted": asdict(counted)}


def _words(error: Exception) -> str:
    return str(error)[:10_000] or type(error).__name__


def _is_own(connection: socket.socket) -> bool:
    """Whether the other side is a process of this user."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(found)[1]) == os.getuid()
