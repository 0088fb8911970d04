"""The side of a process that has its model run by the owner of the GPU (`host`), and what it does without one."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

import numpy.typing as npt

from .connection import Connection, RefusedError, file_of, has_ended, open_there, shut
from .opening import Opened, Wanted
from .shapes import Counted
from .wire import AWAY, ProtocolError

_LOOK_MS: Final = 1000
"""Between two looks whether another host listens in the place of the one that is connected to."""
_PAUSES_S: Final = (0.05, 1.0)
"""Between two tries to connect: the first, which then doubles, and the longest."""
_LOG = logging.getLogger(__name__)


class AwayError(Exception):
    """The owner of the GPU is not there for now."""


class Session(Protocol):
    """What runs a model."""

    @property
    def counted(self) -> Counted | None:
        """What is counted where shapes are prepared; None elsewhere."""

    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, npt.NDArray[Any]], run_options: Any = None
    ) -> list[npt.NDArray[Any]]:
        """The outputs ``output_names`` of a batch, in this order."""

    def close(self) -> None:
        """Run nothing more."""


class HostedSession:
    """A model that the owner of the GPU runs, called as `onnxruntime.InferenceSession` is.

    One whose host ends is opened again at the next host as soon as there is one; until then its runs raise `AwayError`.
    Where none comes within ``wait_s``, or it does not open the model, the session is this process's own, for good.

    Args:
        wanted: The model.
        path: The file of the host's socket.
        wait_s: How long to wait for a host.
        open_own: Opens the model in this process.
    """

    def __init__(self, wanted: Wanted, path: Path, *, wait_s: float, open_own: Callable[[], Opened]) -> None:
        """Open the model, at the host or here.

        Raises:
            ValueError: It can be opened neither there nor here; the message is that of here.
        """
        self._wanted, self._path, self._wait_s, self._open_own = wanted, path, wait_s, open_own
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._opening: socket.socket | None = None
        self._current: Connection | None = None
        self._own: Opened | None = None
        self._before = Counted()
        self._shunned: tuple[int, int] | None = None
        """The host that was last tried while another one was connected to."""
        self._find()
        self._thread = threading.Thread(target=self._keep, name="gpu client", daemon=True)
        if self._own is None:
            self._thread.start()

    @property
    def hosted(self) -> bool:
        """Whether the owner of the GPU runs it now."""
        return self._current is not None

    @property
    def counted(self) -> Counted | None:
        """What was counted at all hosts together, and here; None where nothing is."""
        with self._lock:
            own, current = self._own, self._current
            now = own.counted if own is not None else _counted(current)
            nothing = (own is not None or current is not None) and now is None
            return None if nothing else _sum(self._before, now)

    def run(
        self,
        output_names: Sequence[str],
        input_feed: Mapping[str, npt.NDArray[Any]],
        run_options: Any = None,  # noqa: ARG002 - as of a session; this one has its own
    ) -> list[npt.NDArray[Any]]:
        """The outputs ``output_names`` of a batch, in this order.

        Raises:
            AwayError: The owner of the GPU is not there.
            RuntimeError: The model cannot run it.
        """
        tried: Connection | None = None
        while True:
            with self._lock:
                own, current = self._own, self._current
            if own is not None:
                return own.run(output_names, input_feed)
            if current is None or current is tried:
                raise AwayError(AWAY)
            try:
                return current.ask(output_names, input_feed)
            except (OSError, ProtocolError):
                self._leave(current)
                tried = current  # there may be another one by now

    def close(self) -> None:
        """Run nothing more; the host frees the model's memory."""
        self._end.set()
        with self._lock:
            current, opening = self._current, self._opening
        for one in (None if current is None else current.socket, opening):
            if one is not None:
                shut(one)
        if self._thread.is_alive():
            self._thread.join()
        if (current := self._current) is not None:
            self._leave(current)
        if self._own is not None:
            self._own.close()

    def _keep(self) -> None:
        """Watch the connection, and find the next host when it ends."""
        while not self._end.is_set() and self._own is None:
            current = self._current
            if current is None:
                _LOG.warning("%s is without the process that computes on the GPU, and looks for it", self._name)
                try:
                    self._find()
                except Exception as error:  # such as no memory for a session of its own, which may change
                    _LOG.warning("%s cannot be opened: %s", self._name, error)
                    self._end.wait(_PAUSES_S[1])
            elif has_ended(current.socket, _LOOK_MS):
                with current.lock:  # there may be an answer to read yet
                    self._leave(current)
            elif (file := file_of(self._path)) not in (None, current.file, self._shunned):
                self._shunned = file
                self._follow(current)

    def _find(self) -> None:
        """Have the model opened by a host, or open it here where there is none in time."""
        end_s, pause_s = time.monotonic() + self._wait_s, _PAUSES_S[0]
        why = f"no process for it was there within {self._wait_s:g} s"
        while not self._end.is_set():
            try:
                connection = self._connected()
            except RefusedError as error:
                why = f"the process for it does not open the model: {error}"
                break
            except (OSError, ProtocolError):
                if time.monotonic() >= end_s:
                    break
                self._end.wait(pause_s)
                pause_s = min(2 * pause_s, _PAUSES_S[1])
            else:
                self._take(connection)
                return
        if self._end.is_set():
            return
        _LOG.warning(
            "%s computes on the GPU in a process of its own, with which the card takes turns: %s", self._name, why
        )
        own = self._open_own()
        with self._lock:
            self._own = own

    def _follow(self, current: Connection) -> None:
        """Go from a host to the one that has taken its place, and lose no answer."""
        try:
            connection = self._connected()
        except (OSError, ProtocolError, RefusedError) as error:
            _LOG.warning(
                "%s stays with the process that computes on the GPU, though another is there: %s", self._name, error
            )
            return
        self._take(connection)
        with current.lock:  # what runs there is answered
            self._leave(current)

    def _take(self, connection: Connection) -> None:
        with self._lock:
            before, self._current = self._current, connection
            self._before = _sum(self._before, _counted(before))
        if self._end.is_set():
            shut(connection.socket)

    def _leave(self, connection: Connection) -> None:
        with self._lock:
            if self._current is connection:
                self._current = None
                self._before = _sum(self._before, _counted(connection))
        shut(connection.socket)
        connection.socket.close()

    def _connected(self) -> Connection:
        def note(opening: socket.socket | None) -> None:
            with self._lock:
                self._opening = opening
            if opening is not None and self._end.is_set():
                shut(opening)

        return open_there(self._path, self._wanted, note)

    @property
    def _name(self) -> str:
        return str(self._wanted.config.get("name", self._wanted.version))


def _counted(connection: Connection | None) -> Counted | None:
    return None if connection is None or connection.counted is None else Counted(**connection.counted)


def _sum(one: Counted, other: Counted | None) -> Counted:
    return (
        one if other is None else Counted(**{name: count + asdict(other)[name] for name, count in asdict(one).items()})
    )
