"""The routes of kept reports, and their operations in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from serving.errors import ReportsError
from serving.gateway.access.caller import Caller
from serving.gateway.api.openapi import Operation
from serving.gateway.http.documents import dump
from serving.gateway.http.notes import CALLER
from serving.gateway.http.protocol import encoded_response
from serving.gateway.parts import Parts
from serving.gateway.refusals import Refusal, RefusedError
from serving.keys.records import Role
from serving.reports.documents import given_document
from serving.reports.keeper import Keeper
from serving.reports.records import KeptReport

from .answers import DeletedAnswer, ReportAnswer

_PATH: Final = "/v1/reports/{id}"
_AGAIN_S: Final = 5.0
_PRIVATE: Final[Mapping[str, str]] = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
"""Whoever has the address can read it: no cache keeps it, and no search engine lists it."""
_T = TypeVar("_T")
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "What the answer of /v1/analyze says in `report`.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
    "example": "AAAAAAAAAAAAAAAAAAAAAA",
}
OPERATIONS: Final = (
    Operation(
        method="get",
        path=_PATH,
        name="report",
        summary="A kept report",
        description="What was answered, and about which article: for everybody who has the id, without a key. It is "
        "gone once its time is up.",
        gives=ReportAnswer,
        refusals=(Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(_ID,),
    ),
    Operation(
        method="delete",
        path=_PATH,
        name="report_delete",
        summary="Remove a kept report",
        description="Where callers need a key, by the key that made it, or one with the role admin; where they need "
        "none, by everybody who has the id.",
        gives=DeletedAnswer,
        refusals=(Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(_ID,),
    ),
)
_NAMES: Final = frozenset(one.name for one in OPERATIONS)


class Reports:
    """The handlers.

    Args:
        keeper: Has the reports.
        wants_keys: Whether callers need a key.
    """

    def __init__(self, keeper: Keeper, *, wants_keys: bool) -> None:
        self._keeper = keeper
        self._wants_keys = wants_keys

    async def report(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/reports/{id}``."""
        found = await self._found(request.match_info["id"])
        return encoded_response(request, dump(given_document(found)))

    async def report_delete(self, request: web.Request) -> web.StreamResponse:
        """``DELETE /v1/reports/{id}``."""
        found = await self._found(request.match_info["id"])
        if self._wants_keys and not _may_delete(request[CALLER], found):
            raise RefusedError(
                Refusal.FORBIDDEN,
                "a report is removed by the key that made it, or one with the role 'admin', and this key is neither: "
                "ask whoever made it, or runs the server",
            )
        if not await _told(self._keeper.delete(found.id)):
            raise self._none()
        return encoded_response(request, dump({"id": found.id, "deleted": True}))

    async def _found(self, report_id: str) -> KeptReport:
        found = await _told(self._keeper.find(report_id))
        if found is None:
            raise self._none()
        return found

    def _none(self) -> RefusedError:
        if not self._keeper.keeps:
            return RefusedError(Refusal.NOT_FOUND, f"this server keeps no reports: {self._keeper.why_not}")
        return RefusedError(
            Refusal.NOT_FOUND,
            f"there is no such report here: one is kept for {self._keeper.days} days, unless somebody removes it "
            "before; see that its address is whole",
        )


async def _told(asked: Awaitable[_T]) -> _T:
    """What the store says; why it says nothing stands in the log, since it is not for callers."""
    try:
        return await asked
    except ReportsError:
        words = "the reports cannot be had now: try again later"
        raise RefusedError(Refusal.AWAY, words, retry_after_s=_AGAIN_S) from None


def _may_delete(caller: Caller, report: KeptReport) -> bool:
    return caller.may(Role.ADMIN) or (caller.name == report.key and caller.name != "")


async def _private(request: web.Request, response: web.StreamResponse) -> None:
    if request.match_info.route.name in _NAMES:
        response.headers.update(_PRIVATE)


def add_report_routes(app: web.Application, parts: Parts) -> None:
    """Add all of them to the door's application."""
    reports = Reports(parts.reports, wants_keys=parts.doorkeeper.wants_keys)
    handlers: Mapping[str, Any] = {"report": reports.report, "report_delete": reports.report_delete}
    for one in OPERATIONS:
        app.router.add_route(one.method, one.path, handlers[one.name], name=one.name)
    app.on_response_prepare.append(_private)
