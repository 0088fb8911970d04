"""The port for machines: the door's metrics and Triton's, and health for probes."""

from __future__ import annotations

from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .edge.headers import protect
from .parts import Parts

_TIMEOUT_S: Final = 5.0


def make_metrics_app(parts: Parts) -> web.Application:
    """The application: ``/metrics``, ``/metrics/triton``, ``/health/live`` and ``/health/ready``."""
    given = parts.options.triton_metrics
    triton = given if "://" in given else f"http://{given}/metrics"

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(parts.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def triton_metrics(_: web.Request) -> web.Response:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(triton) as answer:
                answer.raise_for_status()
                return web.Response(body=await answer.read(), headers={"Content-Type": CONTENT_TYPE_LATEST})
        except (aiohttp.ClientError, TimeoutError):
            parts.metrics.triton_metrics_failed()
            raise web.HTTPServiceUnavailable(text="Triton's metrics cannot be had now: try again later\n") from None

    async def live(_: web.Request) -> web.Response:
        verdict = parts.verdicts.read()
        return _health(well=verdict.live, reason=verdict.reason)

    async def ready(_: web.Request) -> web.Response:
        verdict = parts.verdicts.read()
        return _health(well=verdict.ready, reason=verdict.reason)

    app = web.Application(client_max_size=1024)
    app.on_response_prepare.append(protect)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/metrics/triton", triton_metrics)
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    return app


def _health(*, well: bool, reason: str) -> web.Response:
    return web.json_response({"ok": well, "reason": "" if well else reason}, status=200 if well else 503)
