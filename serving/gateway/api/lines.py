"""The lines of a body that may be longer than any memory: read as they come, within limits of size and time."""

from __future__ import annotations

import asyncio
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from serving.gateway.configuration import GatewayLimits
from serving.gateway.http.body import ask_for_body
from serving.gateway.refusals import Refusal, RefusedError, invalid

_FREE_CHUNKS: Final = 8192
_MIN_CHUNK_BYTES: Final = 64
"""Chunks (``Transfer-Encoding: chunked``) beyond the first ones have so many bytes on average: each costs time."""


class LineTooLongError(Exception):
    """One line is too long; those after it can be read."""


class Lines:
    """The lines of a request's body.

    Args:
        request: Its body is read by nobody else.
        limits: A line has at most ``max_body_bytes``, and comes within ``max_body_time_s``.
    """

    def __init__(self, request: web.Request, limits: GatewayLimits) -> None:
        self._request = request
        self._limits = limits
        self._buffer = bytearray()
        self._size = 0
        self._chunks = 0
        self._waited_s = 0.0  # for the line that comes; while answers wait to be read, nothing is waited for

    @property
    def size_bytes(self) -> int:
        """Bytes that came so far."""
        return self._size

    async def read(self) -> AsyncGenerator[bytes | LineTooLongError, None]:
        """Yield each line without its end, and an error in the place of one that is too long.

        Raises:
            RefusedError: The body is compressed, breaks off, comes too slowly or in too small pieces.
        """
        encoding = self._request.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise RefusedError(
                Refusal.ENCODING, f"a batch is sent as it is, not as '{encoding[:40]}': leave Content-Encoding out"
            )
        await ask_for_body(self._request)
        skipping, searched, first = False, 0, True
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                searched = 0
                if not skipping:
                    yield line.removeprefix(BOM_UTF8) if first else line  # files that Windows wrote begin with one
                skipping = first = False
                continue
            searched = len(self._buffer)
            if searched > self._limits.max_body_bytes:
                self._buffer.clear()
                searched = 0
                if not skipping:
                    skipping = True
                    yield LineTooLongError()
                continue
            if not await self._more():
                break
        if self._buffer and not skipping:
            line = bytes(self._buffer)
            yield line.removeprefix(BOM_UTF8) if first else line

    async def _more(self) -> bool:
        """Wait for bytes; whether there were some."""
        limit_s = self._limits.max_body_time_s
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            async with asyncio.timeout(limit_s - self._waited_s):
                part, ended = await self._request.content.readchunk()
        except TimeoutError:
            raise RefusedError(
                Refusal.TOO_SLOW, f"the next line of a batch is whole within {limit_s:g} s: send lines as you have them"
            ) from None
        except ConnectionError:
            raise RefusedError(Refusal.CANCELLED, "the caller has left") from None
        except RequestPayloadError as error:
            raise invalid(f"the body is not encoded as its headers say: {str(error)[:100]}") from None
        self._waited_s = 0.0 if b"\n" in part else self._waited_s + loop.time() - began_s
        self._size += len(part)
        self._chunks += ended
        if self._chunks > _FREE_CHUNKS and self._size < _MIN_CHUNK_BYTES * self._chunks:
            raise RefusedError(
                Refusal.TOO_LARGE,
                f"chunks of a body have at least {_MIN_CHUNK_BYTES} bytes on average: send larger ones",
            )
        self._buffer += part
        return bool(part) or not self._request.content.at_eof()
