"""What goes over the socket between those who ask and the process that owns the GPU: messages with their length first.

A message is a head of 16 bytes (`_HEAD`: the protocol's name with its version, the kind, three zeros, and the bytes of
the two parts that follow, little-endian), a JSON object, and the numbers of arrays, one array after the other in C
order. The object's ``arrays`` says for each its name, dtype and shape. All is bounded, and nothing of it is run.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]

AWAY: Final = "the process that computes on the GPU is not there: send the request again in some seconds"
"""The words that a request is refused with meanwhile; the supervisor knows by them that the model itself lives."""
MOST_WORDS_BYTES: Final = 1 << 20
"""The largest JSON object of a message."""
MOST_NUMBERS_BYTES: Final = 1 << 28
"""The largest sum of its arrays."""
_NAME: Final = b"ILG1"
_HEAD: Final = struct.Struct("<4sBxxxII")
_ARRAYS: Final = "arrays"
_MOST_ARRAYS: Final = 256
_MOST_DIMENSIONS: Final = 8
_CHUNK_BYTES: Final = 1 << 20
"""Memory for a message is taken as it comes, and not for what it says that it will be."""
_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    name: np.dtype(name)
    for name in (
        *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
        *("float16", "float32", "float64"),
    )
}


class Kind(IntEnum):
    """What a message is."""

    OPEN = 1
    """Asks for a model: ``config``, ``kind``, ``number`` and ``version`` of `engine.sessions.opening.Wanted`."""
    READY = 2
    """It is open: ``counted``, or nothing there where nothing is counted."""
    RUN = 3
    """Asks for ``outputs``, names; the arrays are the inputs."""
    ANSWER = 4
    """The outputs, with ``counted``."""
    ERROR = 5
    """Why there is no answer: ``words``."""


class ProtocolError(Exception):
    """The other side does not keep to the protocol."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message."""

    kind: Kind
    words: Mapping[str, Any] = field(default_factory=dict)
    """The JSON object."""
    arrays: Arrays = field(default_factory=dict)


def send(connection: socket.socket, message: Message) -> None:
    """Send a message.

    Raises:
        ValueError: It is too large, or an array has a dtype that no model has.
        OSError: The other side is gone.
    """
    described, parts = [], []
    for name, array in message.arrays.items():
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"a tensor is of {', '.join(_DTYPES)}, and {name} is {array.dtype}")
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape)})
        parts.append(np.ascontiguousarray(array).tobytes())
    words = json.dumps({**message.words, _ARRAYS: described}).encode()
    numbers_bytes = sum(map(len, parts))
    if len(words) > MOST_WORDS_BYTES or numbers_bytes > MOST_NUMBERS_BYTES:
        raise ValueError(
            f"a batch has {MOST_NUMBERS_BYTES} bytes and its words {MOST_WORDS_BYTES} at most, not {numbers_bytes} and "
            f"{len(words)}: lower max_batch_size"
        )
    head = _HEAD.pack(_NAME, message.kind, len(words), numbers_bytes)
    connection.sendall(b"".join((head, words, *parts)))


def receive(connection: socket.socket) -> Message | None:
    """The next message; None where the other side has ended the connection, between two messages.

    Raises:
        ProtocolError: What comes is none, or is larger than one may be.
        OSError: The other side is gone in the midst of one.
    """
    first = connection.recv(1)
    if not first:
        return None
    head = first + _read(connection, _HEAD.size - 1)
    name, kind, words_bytes, numbers_bytes = _HEAD.unpack(head)
    if name != _NAME:
        raise ProtocolError(f"a message begins with {_NAME!r}, not {name!r}")
    if words_bytes > MOST_WORDS_BYTES or numbers_bytes > MOST_NUMBERS_BYTES:
        raise ProtocolError(f"a message of {words_bytes} and {numbers_bytes} bytes is larger than one may be")
    words, numbers = _read(connection, words_bytes), _read(connection, numbers_bytes)
    try:
        found = json.loads(words)
        return Message(kind=Kind(kind), arrays=_arrays(found.pop(_ARRAYS), numbers), words=found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a message cannot be read ({type(error).__name__}: {error})") from error


def _arrays(described: list[dict[str, Any]], numbers: bytearray) -> dict[str, npt.NDArray[Any]]:
    if len(described) > _MOST_ARRAYS:
        raise ValueError(f"a message has {_MOST_ARRAYS} arrays at most, not {len(described)}")
    found, begin = {}, 0
    for one in described:
        name, dtype, shape = one["name"], _DTYPES[one["dtype"]], one["shape"]
        if not isinstance(name, str) or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"an array has a name and {_MOST_DIMENSIONS} dimensions at most")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError(f"dimensions are whole numbers from 0, not {shape}")
        size_bytes = math.prod(shape) * dtype.itemsize
        if size_bytes > len(numbers) - begin:
            raise ValueError("there are fewer numbers than the arrays have")
        array = np.empty(shape, dtype)  # a copy, since what comes may begin where no number of its size may
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(memoryview(numbers)[begin : begin + size_bytes], np.uint8)
        found[name], begin = array, begin + size_bytes
    if begin != len(numbers):
        raise ValueError("there are more numbers than the arrays have")
    return found


def _read(connection: socket.socket, count: int) -> bytearray:
    """So many bytes."""
    read = bytearray()
    while len(read) < count:
        begin = len(read)
        read.extend(bytes(min(count - begin, _CHUNK_BYTES)))
        with memoryview(read) as view:
            got = connection.recv_into(view[begin:])
        if not got:
            raise ConnectionResetError("the other side has ended in the midst of a message")
        del read[begin + got :]
    return read
