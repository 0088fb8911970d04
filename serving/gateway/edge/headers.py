"""What every answer says to browsers: what it may do, who may read it, and which web pages of other origins may ask."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from aiohttp import hdrs, web

from serving.edge.options import ANY_ORIGIN, EdgeOptions

from .proxies import PROXIES, Proxies, is_secure

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY_HEADER: Final = "Content-Security-Policy"
SECURITY: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    POLICY_HEADER: _POLICY,
}
"""On every answer that names no policy of its own."""
_STRICT_TRANSPORT: Final = "max-age=31536000"
"""A year; subdomains are not the door's to speak for."""
_EXPOSED: Final = "X-Request-Id, X-Trace-Id, Retry-After, Infolens-Prediction"
_MAY_SEND: Final = "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-Id"
_PREFLIGHT_S: Final = 600
_OPEN: Final = re.compile(r"/v1/.*|/healthz|/readyz|/v2/health/.*", re.DOTALL)
"""The paths that pages of other origins may ask."""


def add_edge(app: web.Application, options: EdgeOptions) -> None:
    """Have an application keep to the options; before it is started."""
    app[PROXIES] = Proxies(options.forwarded_allow)
    origins = Origins(options.cors_origins)
    app.middlewares.append(origins.preflight)
    app.on_response_prepare.append(origins.mark)
    app.on_response_prepare.append(protect)


class Origins:
    """The origins of web pages that may ask.

    Args:
        allowed: Such as ``https://desk.example``; ``*`` for all.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a browser that asks whether a page may ask."""
        if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return await handler(request)
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:  # the path is one of the door's, and these are its methods
            if not self._allows(request):
                raise
            methods = ", ".join(sorted(error.allowed_methods))
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _MAY_SEND,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(_PREFLIGHT_S),
        }
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say on an answer which page may read it."""
        if not self._allowed or not _OPEN.fullmatch(request.path):
            return
        if ANY_ORIGIN in self._allowed:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = ANY_ORIGIN
        else:
            varies = [one for one in (response.headers.get(hdrs.VARY), hdrs.ORIGIN) if one]
            response.headers[hdrs.VARY] = ", ".join(varies)
            if not self._allows(request):
                return
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def _allows(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN)
        known = origin is not None and (ANY_ORIGIN in self._allowed or origin in self._allowed)
        return known and _OPEN.fullmatch(request.path) is not None


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer the headers of `SECURITY`, and under TLS the word that there is TLS."""
    for name, value in SECURITY.items():
        response.headers.setdefault(name, value)
    if is_secure(request):
        response.headers[hdrs.STRICT_TRANSPORT_SECURITY] = _STRICT_TRANSPORT
