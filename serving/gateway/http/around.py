"""What is done around each request: its id, its line in the log, and a word for whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from aiohttp import web

from serving.gateway.access.caller import Given, read_given
from serving.gateway.access.doorkeeper import Doorkeeper
from serving.gateway.configuration import GatewayLimits
from serving.gateway.edge.proxies import client_address
from serving.gateway.logs import request_id
from serving.gateway.metrics import INFERENCES, Access, GatewayMetrics
from serving.gateway.refusals import Refusal, RefusedError

from .notes import CALLER, NOTES, Notes
from .protocol import ID_HEADER, abandon, named, refusal_response

_ENDING: Final = frozenset({Refusal.TOO_LARGE, Refusal.TOO_SLOW, Refusal.HEADERS})
"""After these a connection is closed."""

_NO_PATH: Final = (
    "Not Found: this server offers a JSON API, which /openapi.json describes, and KServe v2 inference, health and "
    "metadata under /v2"
)

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Around:
    """Asks who sends a request, counts and logs it, and makes refusals of errors.

    Args:
        limits: What the door takes.
        metrics: Where requests are counted.
        doorkeeper: Knows who may call what.
    """

    def __init__(self, limits: GatewayLimits, metrics: GatewayMetrics, doorkeeper: Doorkeeper) -> None:
        self._limits = limits
        self._metrics = metrics
        self._doorkeeper = doorkeeper

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, whatever happens."""
        notes = request[NOTES] = Notes(
            request_id=request_id(request.headers.get(ID_HEADER, "")),
            route=(request.match_info.route.name or "").partition("-")[0] or "unknown",
            started_s=asyncio.get_running_loop().time(),
            address=client_address(request),
        )
        refused: RefusedError | None = None
        headers: dict[str, str] = {}
        try:
            _check_headers(request, self._limits)
            caller = request[CALLER] = await self._doorkeeper.recognise(notes.route, lambda: _given(request))
            notes.key = caller.name
            with (
                self._doorkeeper.admitted(notes.route, caller),
                self._metrics.in_flight("http") if notes.route in INFERENCES else nullcontext(),
            ):
                response = await handler(request)
        except asyncio.CancelledError:
            refused = RefusedError(Refusal.CANCELLED, "the caller has left")
            self._record(notes, refused.http_status, 0, refused)
            raise
        except RefusedError as error:
            refused = error.with_traceback(None)  # it would keep this frame, and the body, until a collection
        except web.HTTPException as error:
            refused = _routing(error)
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        except Exception as error:  # a fault of this door: told without what the request held
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("unexpected %s at %s:%s", type(error).__name__, Path(place.filename).name, place.lineno)
            refused = RefusedError(Refusal.FAILED, "the server could not handle this request: try again")
        if refused is not None:
            response = refusal_response(refused, request, notes.request_id)
            response.headers.update(headers)
        # The rest of a body that nobody reads, or a caller who sent too much.
        if not request.content.is_eof() or (refused is not None and refused.kind in _ENDING):
            response.force_close()
            abandon(request)
        if not response.prepared:
            named(response, notes.request_id)
        self._record(notes, response.status, notes.bytes_out or response.content_length or 0, refused)
        return response

    def _record(self, notes: Notes, status: int, size: int, refused: RefusedError | None) -> None:
        access = Access(
            door="http",
            route=notes.route,
            code=str(status),
            seconds=asyncio.get_running_loop().time() - notes.started_s,
            key=notes.key,
            model=notes.model,
            request_id=notes.request_id,
            bytes_in=notes.bytes_in,
            bytes_out=size,
            address=notes.address,
        )
        self._metrics.record(access, refused)


def _given(request: web.Request) -> Given:
    headers = request.headers
    address = request[NOTES].address
    return read_given(headers.getall("Authorization", ()), headers.getall("X-API-Key", ()), address)


def _check_headers(request: web.Request, limits: GatewayLimits) -> None:
    size = sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
    if size > limits.max_header_bytes:
        raise RefusedError(
            Refusal.HEADERS, f"the headers of a request have at most {limits.max_header_bytes} bytes, not {size}"
        )


def _routing(error: web.HTTPException) -> RefusedError:
    """What aiohttp says of a path or method that it has no route for, in the door's words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return RefusedError(Refusal.METHOD, f"Method Not Allowed: this path takes {allowed}")
    if error.status == 404:
        return RefusedError(Refusal.NOT_FOUND, _NO_PATH)
    return RefusedError(Refusal.INVALID, error.reason)
