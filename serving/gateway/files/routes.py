"""The routes of files: they are read within limits here, and looked at in reading processes alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from serving.gateway.api.faults import field_error
from serving.gateway.api.openapi import JSON
from serving.gateway.http.body import Bodies
from serving.gateway.http.documents import dump, parse
from serving.gateway.http.notes import CALLER, NOTES
from serving.gateway.http.protocol import encoded_response, leave_expect
from serving.gateway.parts import Parts
from serving.gateway.refusals import Refusal, RefusedError, invalid, invalid_fields
from serving.intake.errors import ReadError, ReadersAwayError, ReadersBusyError

from .answers import LinkRequest
from .operations import FILE_OPERATIONS, FORMATS

_BUSY_S: Final = 2.0
"""When to come again: most files are read within a second."""
_FIELDS: Final[Mapping[str, str]] = {"": ", ".join(LinkRequest.model_fields)}
_LARGE_BYTES: Final = 256 * 1024
"""An answer of this size is compressed beside the event loop."""
_T = TypeVar("_T")


class Files:
    """The handlers.

    Args:
        parts: What the doors share.
        bodies: Reads the bodies of all requests.
    """

    def __init__(self, parts: Parts, bodies: Bodies) -> None:
        self._intake = parts.intake
        self._limits = parts.options.limits
        self._bodies = bodies

    async def extract(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/extract``."""
        name = _setting(request, "name")
        if request.content_type == JSON:
            async with self._bodies.read(request) as body:
                _read_now(request, body)
                url = _link(body, self._limits.max_json_depth)
            document, at = await self._intake.article_of(url, caller=request[CALLER])
            return await self._extracted(request, {"url": at, **document.to_dict()})
        async with self._bodies.read(request, max_bytes=self._limits.max_file_bytes) as body:
            _read_now(request, body)
            told = request.headers.get("Content-Type", "")
            document = await _reading(self._intake.readers.article(body, name=name, content_type=told))
        return await self._extracted(request, {"url": None, **document.to_dict()})

    async def _extracted(self, request: web.Request, found: Mapping[str, object]) -> web.Response:
        return await _answer(request, dump({"id": request[NOTES].request_id, **found}))

    async def table_read(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/tables/read``."""
        name = _setting(request, "name")
        async with self._bodies.read(request, max_bytes=self._limits.max_file_bytes) as body:
            _read_now(request, body)
            table = await _reading(self._intake.readers.table(body, name=name))
        return await _answer(request, table.json)

    async def table_write(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/tables/write``."""
        form = _setting(request, "format")
        if form not in FORMATS:
            raise invalid(f"the format of a table is one of {', '.join(FORMATS)} (?format=csv), not '{form[:40]}'")
        async with self._bodies.read(request, max_bytes=self._limits.max_file_bytes) as body:
            _read_now(request, body)
            written = await _reading(self._intake.readers.write(body, form))
        headers = {"Content-Disposition": f'attachment; filename="info-lens.{form}"'}
        return await _answer(request, written, headers=headers, content_type=FORMATS[form])


def add_file_routes(app: web.Application, parts: Parts, bodies: Bodies) -> None:
    """Add them to the door's application."""
    files = Files(parts, bodies)
    for one in FILE_OPERATIONS:
        app.router.add_post(one.path, getattr(files, one.name), name=one.name, expect_handler=leave_expect)


async def _reading(work: Awaitable[_T]) -> _T:
    """What a reading process gives, or its refusal in the door's terms."""
    try:
        return await work
    except ReadersBusyError as error:
        raise RefusedError(Refusal.BUSY, error.words, retry_after_s=_BUSY_S) from None
    except ReadersAwayError as error:
        raise RefusedError(Refusal.AWAY, error.words, retry_after_s=_BUSY_S) from None
    except ReadError as error:
        raise invalid(error.words) from None


async def _answer(
    request: web.Request,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> web.Response:
    if len(body) < _LARGE_BYTES:
        return encoded_response(request, body, headers=headers, content_type=content_type)
    return await asyncio.to_thread(encoded_response, request, body, headers=headers, content_type=content_type)


def _setting(request: web.Request, name: str) -> str:
    """The one setting in the address of a request; empty where it is left out."""
    if unknown := set(request.query) - {name}:
        raise invalid(f"this address takes one setting, {name}, not '{min(unknown)[:40]}'")
    if len(values := request.query.getall(name, [])) > 1:
        raise invalid(f"the setting {name} is given once, not {len(values)} times")
    return values[0] if values else ""


def _read_now(request: web.Request, body: bytes) -> None:
    """Note that a body is whole: from now on it is the server that takes its time."""
    notes = request[NOTES]
    notes.bytes_in, notes.started_s = len(body), asyncio.get_running_loop().time()


def _link(body: bytes, max_depth: int) -> str:
    try:
        return LinkRequest.model_validate(parse(body, max_depth=max_depth)).url
    except ValidationError as error:
        raise invalid_fields([field_error(one, _FIELDS) for one in error.errors(include_url=False)]) from None
