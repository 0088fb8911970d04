"""The door's HTTP application and its routes."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from serving.gateway.parts import Parts
from serving.gateway.refusals import Refusal, RefusedError

from .about import About
from .around import Around, Handler
from .body import Bodies
from .inference import Inference
from .protocol import leave_expect

_BASES: Final = (("", "/v2/models/{model}"), ("-version", r"/v2/models/{model}/versions/{version:\d{1,18}}"))


def make_app(parts: Parts, bodies: Bodies) -> web.Application:
    """The application; `DoorRunner` runs it.

    Args:
        parts: What the doors share.
        bodies: Reads the bodies of all requests.
    """
    inference = Inference(
        bodies,
        parts.options,
        parts.catalogue,
        parts.inferences,
        parts.room,
        parts.recorder,
        parts.branches.asked,
    )
    about = About(parts.catalogue, parts.upstream, parts.verdicts.read, parts.served)
    app = web.Application(middlewares=[Around(parts.options.limits, parts.metrics, parts.doorkeeper).handle])

    def get(path: str, name: str, handler: Handler) -> None:
        app.router.add_get(path, handler, name=name)

    # The name of a route, up to a dash, is what the metrics and the log call it.
    get("/v2", "server_metadata", about.server)
    get("/v2/health/live", "server_live", about.live)
    get("/v2/health/ready", "server_ready", about.ready)
    get("/v2/models/stats", "model_statistics-all", about.all_stats)
    for kind, base in _BASES:
        get(base, f"model_metadata{kind}", about.model)
        get(f"{base}/ready", f"model_ready{kind}", about.model_ready)
        get(f"{base}/config", f"model_config{kind}", about.config)
        get(f"{base}/stats", f"model_statistics{kind}", about.stats)
        app.router.add_post(f"{base}/infer", inference.infer, name=f"infer{kind}", expect_handler=leave_expect)
        app.router.add_post(f"{base}/generate", inference.generate, name=f"generate{kind}", expect_handler=leave_expect)
        app.router.add_route("*", f"{base}/generate_stream", _no_stream, name=f"generate_stream{kind}")
    return app


async def _no_stream(_: web.Request) -> web.StreamResponse:
    raise RefusedError(
        Refusal.UNIMPLEMENTED,
        "generate_stream is not offered: no model here answers piece by piece; ask /generate, which gives it all",
    )
