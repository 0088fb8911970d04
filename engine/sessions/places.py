"""Unix sockets at paths of any length: the kernel takes 107 bytes, and folders of a server may be longer."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def at(path: Path) -> Iterator[str]:
    """A short name of a path for as long as the ``with`` block lasts, through its folder's descriptor.

    Raises:
        OSError: There is no such folder.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def connect(path: Path) -> socket.socket:
    """A connection to whoever listens there.

    Raises:
        OSError: Nobody does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with at(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection
