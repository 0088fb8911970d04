"""The route of quality, its operation in the OpenAPI document, and its metrics."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from serving.feedback.options import MAX_DAYS
from serving.gateway.api.openapi import Operation
from serving.gateway.http.protocol import encoded_response
from serving.gateway.parts import Parts
from serving.gateway.refusals import Refusal, invalid
from serving.quality.references import References
from serving.quality.tallying import Tallies

from .answers import QualityAnswer
from .computing import Asks, Quality
from .gauges import Gauges

DEFAULT_DAYS: Final = 30
_LARGE_BYTES: Final = 256 * 1024
"""An answer of this size is compressed beside the event loop."""
_DIGITS: Final = re.compile(r"[0-9]{1,4}", re.ASCII)
OPERATIONS: Final = (
    Operation(
        method="get",
        path="/v1/quality",
        name="quality",
        summary="What people say of the models",
        description="Of each model revision the mean of its stars or the share of its labels that people call right, "
        "with 95 % intervals, over all, by batch of ratings and by day; blind audits apart; whether the articles have "
        "moved away from those of the training; whether raters agree. Some seconds old at most, unless it says "
        "`stale_s`.",
        gives=QualityAnswer,
        refusals=(Refusal.INVALID, Refusal.NOT_FOUND, Refusal.AWAY),
        parameters=(
            {
                "name": "days",
                "in": "query",
                "description": "How far back it looks, today included.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS},
            },
        ),
    ),
)


def read_days(query: dict[str, str]) -> int:
    """How far back a request looks.

    Raises:
        RefusedError: Its settings are others, or no number of days.
    """
    if extra := sorted(set(query) - {"days"}):
        raise invalid(f"quality has one setting in its address, days, not '{extra[0][:40]}': leave it out")
    given = query.get("days", str(DEFAULT_DAYS))
    days = int(given) if _DIGITS.fullmatch(given) else 0
    if not 1 <= days <= MAX_DAYS:
        raise invalid(f"days is a whole number from 1 to {MAX_DAYS}, not '{given[:40]}'")
    return days


def make_tallies(repository: Path) -> Tallies:
    """What the keeper of feedback counts of each article, by the references of the models in a folder."""
    return Tallies(References(repository))


def add_quality_route(app: web.Application, parts: Parts, keeper: Asks) -> None:
    """Add the route to the door's application, and keep its metrics fresh while that runs.

    Args:
        app: The application.
        parts: What the doors share.
        keeper: Has the feedback.
    """
    quality = Quality(keeper, parts.served, References(parts.options.repository))
    gauges = Gauges(quality)

    async def answer(request: web.Request) -> web.StreamResponse:
        """``GET /v1/quality``."""
        if len(request.query) != len(set(request.query)):
            raise invalid("quality has each setting of its address once: send days once")
        body = await quality.body(read_days(dict(request.query)))
        respond = partial(encoded_response, request, body, headers={"Cache-Control": "no-store"})
        return await asyncio.to_thread(respond) if len(body) > _LARGE_BYTES else respond()

    async def measured(_: web.Application) -> AsyncIterator[None]:
        if not quality.keeps:
            yield
            return
        parts.metrics.registry.register(gauges)
        task = asyncio.create_task(gauges.refresh())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        parts.metrics.registry.unregister(gauges)
        await quality.close()

    (one,) = OPERATIONS
    app.router.add_route(one.method, one.path, answer, name=one.name)
    app.cleanup_ctx.append(measured)
