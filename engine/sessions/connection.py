"""A connection to the process that owns the GPU, for one model."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .opening import Wanted
from .places import connect
from .wire import Kind, Message, ProtocolError, receive, send


class RefusedError(Exception):
    """The host does not open the model."""


@dataclass(eq=False, kw_only=True)
class Connection:
    """A model that a host has opened."""

    socket: socket.socket
    file: tuple[int, int]
    """Which file its socket was."""
    counted: Mapping[str, int] | None
    """What the host has counted for it."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, names: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The outputs of a batch.

        Raises:
            RuntimeError: The model cannot run it.
            ConnectionError: The host is gone, as by any other OSError.
        """
        with self.lock:
            send(self.socket, Message(kind=Kind.RUN, words={"outputs": list(names)}, arrays=feeds))
            answer = _answer(self.socket, Kind.ANSWER)
            self.counted = answer.words.get("counted")
        return [answer.arrays[name] for name in names]


def open_there(path: Path, wanted: Wanted, note: Callable[[socket.socket | None], None]) -> Connection:
    """Have a host open a model, which may take long.

    Args:
        path: The file of its socket.
        wanted: The model.
        note: Called with the socket while that lasts, so that it can be ended, and then with None.

    Raises:
        OSError: No host is there, or it ends.
        ProtocolError: It answers with nonsense.
        RefusedError: It does not open the model.
    """
    file = file_of(path)
    if file is None:
        raise FileNotFoundError(f"no host listens at {path}")
    connection = connect(path)
    try:
        note(connection)
        words = {
            "config": wanted.config,
            "kind": wanted.kind,
            "number": wanted.number,
            "version": str(wanted.version),
        }
        send(connection, Message(kind=Kind.OPEN, words=words))
        try:
            counted = _answer(connection, Kind.READY).words.get("counted")
        except RuntimeError as error:
            raise RefusedError(str(error)) from error
    except BaseException:
        connection.close()
        raise
    finally:
        note(None)
    return Connection(socket=connection, file=file, counted=counted)


def _answer(connection: socket.socket, kind: Kind) -> Message:
    answer = receive(connection)
    if answer is None:
        raise ConnectionResetError("the host has ended")
    if answer.kind is Kind.ERROR:
        raise RuntimeError(str(answer.words.get("words")))
    if answer.kind is not kind:
        raise ProtocolError(f"the host answers with {kind.name}, not {answer.kind.name}")
    return answer


def has_ended(connection: socket.socket, within_ms: int) -> bool:
    """Whether the other side ends the connection within so many milliseconds."""
    poll = select.poll()
    try:
        poll.register(connection, select.POLLRDHUP)
        return bool(poll.poll(within_ms))
    except (OSError, ValueError):  # closed meanwhile
        return True


def shut(connection: socket.socket) -> None:
    """End a connection, which wakes whoever waits for it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def file_of(path: Path) -> tuple[int, int] | None:
    """Which file lies at a path; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)
