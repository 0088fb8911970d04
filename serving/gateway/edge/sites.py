"""Where an application listens, with TLS or without."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from .tls import HANDSHAKE_S


class Site(web.TCPSite):
    """Where an application listens; a caller who does not get on with TLS, at its start or end, is sent away."""

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        patience_s = None if self._ssl_context is None else HANDSHAKE_S
        self._server = await asyncio.get_running_loop().create_server(
            cast("web.Server", self._runner.server),
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=patience_s,
            ssl_shutdown_timeout=patience_s,
        )
