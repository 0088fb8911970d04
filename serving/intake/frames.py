"""How the door and a reading process talk: frames of a JSON object and bytes, each with its length before it."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

_LENGTHS: Final = struct.Struct(">II")
MAX_HEAD_BYTES: Final = 64 * 2**10
MAX_BODY_BYTES: Final = 256 * 2**20
"""A table of 64 MiB of text can be as large as this in JSON."""


class FrameError(Exception):
    """What came is no frame, or one beyond a limit."""


def pack(head: Mapping[str, Any], body: bytes) -> bytes:
    """All of a frame but its body, which comes after it as it is."""
    content = json.dumps(head).encode()
    return _LENGTHS.pack(len(content), len(body)) + content


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, body_bytes = _LENGTHS.unpack(lengths)
    head = json.loads(stream.read(head_bytes))
    return head, stream.read(body_bytes)


async def receive(stream: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """The next frame of a process that is not trusted.

    Raises:
        FrameError: It is none, or too large.
        asyncio.IncompleteReadError: The process ended before it was whole.
    """
    head_bytes, body_bytes = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    if head_bytes > MAX_HEAD_BYTES or body_bytes > MAX_BODY_BYTES:
        raise FrameError(f"a frame of {head_bytes} and {body_bytes} bytes")
    try:
        head = json.loads(await stream.readexactly(head_bytes))
    except (ValueError, RecursionError):
        raise FrameError("a frame whose head is no JSON") from None
    if not isinstance(head, dict):
        raise FrameError("a frame whose head is no JSON object")
    return head, await stream.readexactly(body_bytes)
