"""aiohttp's server with the door's own manners: limits on connections, errors in JSON, no caller's bytes in a log.

Start an application of `make_app` with `DoorRunner` in the place of ``web.AppRunner``.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from serving.gateway.configuration import GatewayLimits
from serving.gateway.edge.headers import SECURITY
from serving.gateway.edge.proxies import prefix
from serving.gateway.refusals import RefusedError

from .documents import dump
from .problems import CONTENT_TYPE, problem

MAX_CONNECTIONS: Final = 1024
"""Connections at the same time; further ones are closed as they come."""
_MAX_LINE_BYTES: Final = 8190
_BUFFER_BYTES: Final = 65_536
"""Bytes that a connection may have sent before its request reads them, twice over."""
_IDLE_S: Final = 75.0
"""A connection without a whole request is closed after this time."""
ID_HEADER: Final = "X-Request-Id"
_KSERVE: Final = "/v2"
_MIN_COMPRESSED_BYTES: Final = 256
"""Smaller answers are not compressed: it would make them larger, or hardly smaller."""
_LINGER_S: Final = 1.0
"""How long the rest of a refused body is read and thrown away, so that its sender sees why."""

_UNREAD_S: Final = 30.0
"""How long an answer may wait to be read by its caller."""

log = logging.getLogger(__name__)


class DoorProtocol(web.RequestHandler):
    """One connection."""

    __slots__ = ("_abandoned", "_giving_up", "_progress", "_progress_then")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._abandoned = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._progress: Callable[[], int] | None = None
        self._progress_then = 0

    def keep_open(self, progress: Callable[[], int] | None) -> None:
        """Wait longer for a caller who does not read, as long as a number that ``progress`` gives goes on growing."""
        self._progress = progress

    def abandon(self) -> None:
        """Throw away whatever else comes on this connection, unread."""
        self._abandoned = True

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network."""
        if not self._abandoned:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Wait for a caller who does not read, but not for ever."""
        super().pause_writing()
        self._progress_then = self._progress() if self._progress else 0
        self._giving_up = self._loop.call_later(_UNREAD_S, self._give_up)

    def resume_writing(self) -> None:
        """Go on with a caller who reads again."""
        super().resume_writing()
        if self._giving_up is not None:
            self._giving_up.cancel()

    def _give_up(self) -> None:
        if self._progress is not None and (now := self._progress()) > self._progress_then:
            self._progress_then = now
            self._giving_up = self._loop.call_later(_UNREAD_S, self._give_up)
        elif self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (it repeats what the caller sent)
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or what went wrong outside of any handler; the caller's bytes are not repeated."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        self.abandon()
        if isinstance(exc, HttpProcessingError):
            if isinstance(exc, LineTooLong) or "Too many headers" in str(exc):
                status, words = 431, "the request line or a header is too long, or there are too many headers"
            else:
                status, words = 400, "this is not HTTP/1.1: the request line, the headers or the chunks break a rule"
        else:
            log.error("unexpected %s outside of any handler", type(exc).__name__)
            status, words = 503, "the server could not handle this request: try again"
        response = web.Response(status=status, body=dump({"error": words}), content_type="application/json")
        response.force_close()
        response.headers.update(SECURITY)
        named(response, "")
        return response


class DoorServer(web.Server):
    """Makes a `DoorProtocol` for each connection, up to `MAX_CONNECTIONS`."""

    def __init__(self, *args: Any, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = settings
        # The files of a process are limited too: some are left for everything else.
        self._max_connections = min(MAX_CONNECTIONS, max(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 256))

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        if len(self.connections) >= self._max_connections:
            return _Full(self, loop=self._loop, **self._settings)
        return DoorProtocol(self, loop=self._loop, **self._settings)


class _Full(DoorProtocol):
    """A connection too many: told so, and closed."""

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        body = dump({"error": "the server is busy: it has as many connections as it takes; try again later"})
        head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in SECURITY.items())
        transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        transport.close()
        self.abandon()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nothing was begun."""

    def data_received(self, data: bytes) -> None:
        """Nothing is read."""


class DoorRunner(web.AppRunner):
    """Runs an application behind `DoorServer`."""

    def __init__(self, app: web.Application, limits: GatewayLimits, **kwargs: Any) -> None:
        super().__init__(app, access_log=None, handle_signals=False, **kwargs)
        self._limits = limits

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        settings = {
            "access_log": None,
            "logger": log,
            "keepalive_timeout": _IDLE_S,
            "lingering_time": _LINGER_S,
            "read_bufsize": _BUFFER_BYTES,
            "max_line_size": _MAX_LINE_BYTES,
            "max_field_size": _MAX_LINE_BYTES,
            "max_headers": self._limits.max_headers,
            "auto_decompress": False,  # inflated here, within limits
        }
        return DoorServer(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=True,  # the caller leaves: so does the request behind it
            settings=settings,
        )


def abandon(request: web.Request) -> None:
    """Throw away the rest of what comes on the connection of a request."""
    if isinstance(request.protocol, DoorProtocol):
        request.protocol.abandon()


def keep_open(request: web.Request, progress: Callable[[], int]) -> None:
    """Wait for the caller of a request, who may read later, as long as ``progress`` grows."""
    if isinstance(request.protocol, DoorProtocol):
        request.protocol.keep_open(progress)


async def leave_expect(_: web.Request) -> None:
    """Leave ``Expect: 100-continue`` to the handler, which asks for a body only if it is not too large."""


def refusal_response(refused: RefusedError, request: web.Request, request_id: str) -> web.Response:
    """A refusal as HTTP says it: a problem document, but in KServe's paths a document with ``error``."""
    if request.path.startswith(_KSERVE):
        document: dict[str, Any] = {"error": refused.words}
        if refused.retry_after_s is not None:
            document["expected_wait_ms"] = round(1e3 * refused.retry_after_s)
        return json_response(dump(document), status=refused.http_status, headers=refused.headers)
    document = problem(refused, request_id, prefix(request))
    response = json_response(dump(document), status=refused.http_status, headers=refused.headers)
    response.content_type = CONTENT_TYPE
    return response


def named(response: web.StreamResponse, request_id: str) -> None:
    """Name the server, without the versions of what it is made of, and the request."""
    response.headers["Server"] = "infolens"
    if request_id:
        response.headers[ID_HEADER] = request_id


def encoded_response(
    request: web.Request,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> web.Response:
    """An answer, compressed where its caller likes that and it is worth it."""
    headers = dict(headers or {})
    encoding = _encoding(request.headers.get("Accept-Encoding", ""))
    if encoding and len(body) >= _MIN_COMPRESSED_BYTES:
        # Level 1: half the time of the default, and text of this size hardly larger.
        deflater = zlib.compressobj(1, wbits=31 if encoding == "gzip" else 15)
        body = deflater.compress(body) + deflater.flush()
        headers |= {"Content-Encoding": encoding, "Vary": "Accept-Encoding"}
    charset = "utf-8" if content_type.startswith("text/") else None
    return web.Response(body=body, headers=headers, content_type=content_type, charset=charset)


def _encoding(accepted: str) -> str:
    """The encoding that a caller would like best of those that there are; empty for none."""
    best, best_weight = "", 0.0
    for one in accepted.lower().split(",")[:16]:
        name, _, weight = one.strip().partition(";")
        try:
            value = float(weight.strip().removeprefix("q=")) if weight else 1.0
        except ValueError:
            continue
        if name.strip() in ("gzip", "deflate") and value > best_weight:
            best, best_weight = name.strip(), value
    return best


def json_response(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
