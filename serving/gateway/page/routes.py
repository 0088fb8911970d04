"""The routes of the pages: ``/``, ``/quality``, and what they load, below ``/page``."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from serving.gateway.edge.headers import POLICY_HEADER
from serving.gateway.refusals import Refusal, RefusedError

from .assets import Asset, read_assets

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
)
"""Its own files and its own server alone; text becomes markup through its one library only."""
_INDEX: Final = "index.html"
_QUALITY: Final = "quality/index.html"


class Page:
    """The handlers. All files are read when it is made."""

    def __init__(self) -> None:
        self._assets = read_assets()

    async def index(self, request: web.Request) -> web.StreamResponse:
        """``GET /``."""
        return self._sent(request, self._assets[_INDEX])

    async def quality(self, request: web.Request) -> web.StreamResponse:
        """``GET /quality``: how good the answers are."""
        return self._sent(request, self._assets[_QUALITY])

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """``GET /page/{path}``."""
        found = self._assets.get(request.match_info["path"])
        if found is None:
            raise RefusedError(Refusal.NOT_FOUND, "the page has no such file: the page itself is at /")
        return self._sent(request, found)

    def _sent(self, request: web.Request, asset: Asset) -> web.Response:
        # A browser asks each time whether a file has changed: a new server never meets an old page.
        headers = {POLICY_HEADER: POLICY, "Cache-Control": "no-cache", "ETag": asset.tag, "Vary": "Accept-Encoding"}
        if asset.tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = asset.body
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers = asset.packed, {**headers, "Content-Encoding": "gzip"}
        charset = "utf-8" if asset.media_type.startswith("text/") else None
        return web.Response(body=body, headers=headers, content_type=asset.media_type, charset=charset)


def add_page(app: web.Application) -> None:
    """Add them all to the door's application."""
    page = Page()
    app.router.add_get("/", page.index, name="page")
    app.router.add_get("/quality", page.quality, name="page-quality")
    app.router.add_get(r"/page/{path:[\w./-]{1,80}}", page.asset, name="page-asset")
