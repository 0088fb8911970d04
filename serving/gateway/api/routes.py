"""The routes of the JSON API, and of health for probes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from infolens import Article
from infolens.contract import MAX_ARTICLE_BYTES, SUMMARY_SETTINGS
from serving.feedback.keeper import Keeper
from serving.gateway.edge.proxies import prefix
from serving.gateway.http.body import Bodies
from serving.gateway.http.documents import dump, parse
from serving.gateway.http.notes import CALLER, NOTES
from serving.gateway.http.problems import explanation
from serving.gateway.http.protocol import encoded_response, json_response, keep_open, leave_expect, named
from serving.gateway.parts import Parts
from serving.gateway.recording.recorder import HEADER
from serving.gateway.refusals import Refusal, RefusedError, invalid
from serving.reports.documents import with_report

from .analysis import Analysis
from .batch import Batch
from .faults import MAX_DEADLINE_MS
from .lines import Lines
from .openapi import NDJSON, OPERATIONS, Operation, at, document
from .readiness import Readiness
from .requests import Question, read_question, setting_limits

_MAX_BATCHES: Final = 16
"""Batches at the same time: each may hold some 12 MiB."""
_WHERE: Final = "in a database of this server"
_ORDERS: Final = {"input": True, "finished": False}


class API:
    """The handlers.

    Args:
        parts: What the doors share.
        bodies: Reads the bodies of all requests.
        also: Operations of others, for the OpenAPI document.
    """

    def __init__(self, parts: Parts, bodies: Bodies, also: Sequence[Operation] = ()) -> None:
        self._parts = parts
        self._limits = parts.options.limits
        self._bodies = bodies
        self._served = parts.served
        self._analysis = Analysis(parts, self._served)
        self._readiness = Readiness(parts)
        self._batches = 0
        self._openapi = document(keys=parts.doorkeeper.wants_keys, also=also)

    async def analyze(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/analyze``."""
        async with self._bodies.read(request) as body:
            notes = request[NOTES]
            notes.bytes_in, notes.started_s = len(body), asyncio.get_running_loop().time()
            question = read_question(parse(body, max_depth=self._limits.max_json_depth))
            answer = await self._analysis.answer(question, notes.request_id, caller=request[CALLER])
        if question.keep:
            answer = await self._kept(request, question, answer)
        headers = {} if answer["prediction"] is None else {HEADER: answer["prediction"]}
        return encoded_response(request, dump(answer), headers=headers)

    async def _kept(self, request: web.Request, question: Question, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The answer with the report that was kept of it, within the time that the caller allows."""
        took_s = asyncio.get_running_loop().time() - request[NOTES].started_s
        article = question.article
        return await with_report(
            self._parts.reports,
            answer,
            text=article.text if isinstance(article, Article) else "",  # else the answer has it
            title=article.title,
            key=request[CALLER].name,
            within_s=None if question.deadline_s is None else question.deadline_s - took_s,
        )

    async def analyze_batch(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/analyze/batch``."""
        order = request.query.get("order", "input")
        if order not in _ORDERS or set(request.query) - {"order"}:
            raise invalid(f"a batch has one setting in its address, order, input or finished, not '{order[:40]}'")
        if self._batches >= _MAX_BATCHES:
            words = f"the server is busy: {self._batches} batches run, and no more may; try again later"
            raise RefusedError(Refusal.BUSY, words, retry_after_s=5.0)
        lines, notes, caller = Lines(request, self._limits), request[NOTES], request[CALLER]
        batch = Batch(
            self._analysis,
            self._limits,
            caller=caller,
            request_id=notes.request_id,
            prefix=prefix(request),
            log=self._parts.log,
            ordered=_ORDERS[order],
            take=lambda until_s: self._parts.doorkeeper.take(caller, wait_until_s=until_s),
            on_row=self._parts.metrics.row_answered,
        )
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})  # a proxy hands each line on as it comes
        response.content_type = NDJSON
        named(response, notes.request_id)
        self._batches += 1
        keep_open(request, lambda: lines.size_bytes)
        try:
            async with aclosing(lines.read()) as read, aclosing(batch.run(read)) as answers:
                async for some in answers:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(some)
                    notes.bytes_out += len(some)
                if not response.prepared:
                    await response.prepare(request)
                await response.write_eof()
        except ConnectionError:  # nobody is there to read
            raise asyncio.CancelledError from None
        finally:
            self._batches -= 1
            notes.bytes_in = lines.size_bytes
        return response

    async def models(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/models``."""
        tasks = await self._served.tasks()
        found = [one.document for one in tasks.values()]
        defaults = {name: value for one in tasks.values() for name, value in one.defaults.items()}
        limits, reports = self._request_limits(defaults), self._parts.reports
        why_not = self._parts.intake.links.why_not(request[CALLER])
        told = {
            "keeps": {"reports": reports.keeps, "texts": reports.texts, "days": reports.days, "where": _WHERE},
            "fetches": {"allowed": not why_not, "why_not": why_not},
            "feedback": _feedback(self._parts.feedback),
        }
        return encoded_response(request, dump({"models": found, "limits": limits, **told}))

    def _request_limits(self, defaults: Mapping[str, float]) -> dict[str, Any]:
        return {
            "max_article_bytes": MAX_ARTICLE_BYTES,
            "max_body_bytes": self._limits.max_body_bytes,
            "max_file_bytes": self._limits.max_file_bytes,
            "max_deadline_ms": MAX_DEADLINE_MS,
            "settings": [setting_limits(one, defaults) for one in SUMMARY_SETTINGS],
        }

    async def model_card(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/models/{task}/card``."""
        tasks = {str(task): one for task, one in (await self._served.tasks()).items()}
        found = tasks.get(request.match_info["task"])
        if found is None or found.card is None:
            known = ", ".join(name for name, one in tasks.items() if one.card is not None)
            asked = request.match_info["task"][:40]
            raise RefusedError(
                Refusal.NOT_FOUND, f"there is no card for '{asked}': there are cards for {known or 'none'}"
            )
        body = await asyncio.to_thread(found.card.read_bytes)
        return encoded_response(request, body, content_type="text/markdown")

    async def problem(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/problems/{kind}``."""
        return json_response(dump(explanation(request.match_info["kind"], prefix(request))))

    async def healthz(self, _: web.Request) -> web.StreamResponse:
        """``GET /healthz``."""
        return json_response(dump({"status": "ok"}))

    async def readyz(self, _: web.Request) -> web.StreamResponse:
        """``GET /readyz``."""
        found = await self._readiness.read()
        return json_response(dump(found), status=200 if found["ready"] else 503)

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """``GET /openapi.json``."""
        return encoded_response(request, dump(at(prefix(request), self._openapi)))


def _feedback(keeper: Keeper) -> dict[str, Any]:
    told = ("keeps", "why_not", "texts", "days", "audit_share")
    return {name: getattr(keeper, name) for name in told}


def add_routes(app: web.Application, parts: Parts, bodies: Bodies, also: Sequence[Operation] = ()) -> None:
    """Add all of them to the door's application; the OpenAPI document has the operations of ``also`` too."""
    api = API(parts, bodies, also)
    for one in OPERATIONS:
        handler = getattr(api, one.name)
        if one.takes is None:
            app.router.add_get(one.path, handler, name=one.name)
        else:
            app.router.add_post(one.path, handler, name=one.name, expect_handler=leave_expect)
    app.router.add_get("/openapi.json", api.openapi, name="openapi")
