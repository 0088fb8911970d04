"""The body of a request, read within limits: size, time, pieces, and size once more when it was compressed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.web_protocol import RequestPayloadError

from serving.gateway.configuration import GatewayLimits
from serving.gateway.refusals import Refusal, RefusedError, invalid

_MAX_CHUNKS: Final = 8192
"""Chunks of one body (``Transfer-Encoding: chunked``): with 4 MiB, 512 bytes each; each costs microseconds."""
_MIN_CHUNK_BYTES: Final = 512
"""A body that may be larger has more of them, of as many bytes."""
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS
"""zlib's word for: look at the header."""


class Bodies:
    """Reads bodies, and holds no more of them at a time than there is room for.

    Args:
        limits: What the door takes; a body is held from its first byte until its request is answered.
    """

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._held_bytes = 0

    @asynccontextmanager
    async def read(self, request: web.Request, *, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        """Yield the whole body, inflated; it counts as held inside the block.

        Args:
            request: Whose body it is.
            max_bytes: How large it may be; None for ``max_body_bytes`` of the limits.

        Raises:
            RefusedError: It is too large, too slow, in too many pieces, or not encoded as its headers say; or there is
                no room for it now.
        """
        mine = _Held(self)
        try:
            yield await self._read(request, mine, max_bytes or self._limits.max_body_bytes)
        finally:
            self._held_bytes -= mine.size_bytes

    async def _read(self, request: web.Request, mine: _Held, max_bytes: int) -> bytes:
        limits, encoding = self._limits, request.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise RefusedError(
                Refusal.ENCODING, f"a body is sent as it is, or as gzip or deflate, not as '{encoding[:40]}'"
            )
        if (request.content_length or 0) > max_bytes:
            raise _too_large(max_bytes)
        await ask_for_body(request)
        body = await _read(request, limits, max_bytes, mine.add)
        if encoding in ("", "identity"):
            return body
        inflated = _inflate(body, max_bytes)
        mine.add(len(inflated))
        return inflated

    def hold(self, size_bytes: int) -> None:
        """Count bytes that came.

        Raises:
            RefusedError: There is no room for them.
        """
        limit = self._limits.max_held_bytes
        if self._held_bytes + size_bytes > limit:
            raise RefusedError(
                Refusal.BUSY,
                f"the server is busy: it holds {self._held_bytes} bytes of requests, and no more than "
                f"{limit}; try again later",
                retry_after_s=1.0,
            )
        self._held_bytes += size_bytes


class _Held:
    """The bytes that are held for one request."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.size_bytes = 0

    def add(self, size_bytes: int) -> None:
        self._bodies.hold(size_bytes)
        self.size_bytes += size_bytes


async def ask_for_body(request: web.Request) -> None:
    """Ask for the body of a caller who waits for that."""
    expected = request.headers.get("Expect", "").strip().lower()
    if expected not in ("", "100-continue"):
        raise invalid(f"Expect may be 100-continue alone, not '{expected[:40]}': leave the header out")
    if expected and request.version >= HttpVersion11 and not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def _read(request: web.Request, limits: GatewayLimits, max_bytes: int, hold: Callable[[int], None]) -> bytes:
    content, max_chunks = request.content, max(_MAX_CHUNKS, max_bytes // _MIN_CHUNK_BYTES)
    chunked = "Transfer-Encoding" in request.headers
    if content.is_eof() and not chunked:  # it came together with its headers, as small ones do
        body = content.read_nowait()
        hold(len(body))
        return body
    loop = asyncio.get_running_loop()
    started_s, size, chunks = loop.time(), 0, 0
    parts: list[bytes] = []
    try:
        async with asyncio.timeout_at(started_s + limits.min_body_time_s) as clock:
            while True:
                if chunked:
                    part, ended = await content.readchunk()
                    chunks += ended
                else:
                    part = await content.readany()
                if not part and content.at_eof():
                    return b"".join(parts)
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                hold(len(part))
                if chunks > max_chunks:
                    raise RefusedError(
                        Refusal.TOO_LARGE, f"a body comes in at most {max_chunks} chunks: send larger ones"
                    )
                allowed_s = max(limits.min_body_time_s, size / limits.min_body_bytes_per_s)
                clock.reschedule(started_s + min(allowed_s, limits.max_body_time_s))
    except TimeoutError:
        raise RefusedError(
            Refusal.TOO_SLOW,
            f"a body comes with at least {limits.min_body_bytes_per_s} bytes a second after "
            f"{limits.min_body_time_s:g} s, and within {limits.max_body_time_s:g} s: only {size} bytes came",
        ) from None
    except RequestPayloadError as error:
        raise invalid(f"the body is not encoded as its headers say: {str(error)[:100]}") from None


def _inflate(body: bytes, limit: int) -> bytes:
    """Undo gzip or deflate, making no more than one byte above the limit."""
    inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        inflated = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise invalid(f"the body is not the gzip or deflate that its Content-Encoding promises: {error}") from None
    if len(inflated) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise invalid("the compressed body is cut short: send all of it")
    if inflater.unused_data:
        raise invalid("the compressed body goes on after its end: send one stream")
    return inflated


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        Refusal.TOO_LARGE, f"a body has at most {limit} bytes, and this one has more: send fewer or shorter articles"
    )
