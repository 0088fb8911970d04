"""HTTP, asyncio: the encoding of ``tritonclient.http`` over aiohttp, which tritonclient brings along."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
from numpy.typing import NDArray

from infolens.types import ServerStatus

from .about import MODELS_PATH, READY_PATH, with_about
from .base import ConnectionSettings, InferRequest, JSONAnswer, JSONRequest
from .failures import no_answer, unreachable, wrong_protocol
from .http import configuration_path, decode, encode, read_configuration, read_version, refusal, tls_context
from .url import ServerURL


class AsyncHTTPTransport:
    """An asyncio HTTP transport; its session is made at the first call, inside the running event loop."""

    def __init__(self, url: ServerURL, settings: ConnectionSettings) -> None:
        self._url = url
        self._headers = dict(settings.headers)
        self._context = tls_context(url, settings)
        self._session: aiohttp.ClientSession | None = None
        self.server = str(url)
        """Its address, as messages have it."""

    async def ainfer(self, request: InferRequest, *, timeout_s: float) -> Mapping[str, NDArray[Any]]:
        """See `Transport.infer`."""
        path, body, headers = encode(request, timeout_s, self._headers)
        status, answer, answer_headers = await self._exchange("POST", path, body, headers, timeout_s)
        if status != 200:
            raise refusal(status, answer, answer_headers, server=str(self._url), timeout_s=timeout_s)
        return decode(request, answer, answer_headers)

    async def aprobe(self, models: Collection[str], *, timeout_s: float) -> ServerStatus:
        """See `Transport.probe`."""

        async def get(path: str) -> tuple[int, bytes, Mapping[str, str]]:
            return await self._exchange("GET", path, None, {}, timeout_s)

        live = (await get("/v2/health/live"))[0] == 200
        code, body, headers = await get("/v2")
        if code != 200:
            raise refusal(code, body, headers, server=str(self._url), timeout_s=timeout_s)
        status = ServerStatus(
            live=live,
            server_ready=(await get("/v2/health/ready"))[0] == 200,
            version=read_version(body, str(self._url)),
            models={model: (await get(f"/v2/models/{quote(model)}/ready"))[0] == 200 for model in models},
        )
        return with_about(status, (await get(READY_PATH))[1], (await get(MODELS_PATH))[1])

    async def aconfiguration(self, model: str, *, timeout_s: float) -> Mapping[str, Any]:
        """See `Transport.configuration`."""
        status, body, _ = await self._exchange("GET", configuration_path(model), None, {}, timeout_s)
        return read_configuration(status, body)

    async def asend(self, request: JSONRequest, *, timeout_s: float) -> JSONAnswer:
        """See `JSONTransport.send`."""
        return await self._exchange(request.method, request.path, request.body, request.headers, timeout_s)

    async def aclose(self) -> None:
        """See `Transport.close`."""
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No limit of its own: how much is in flight is the caller's choice.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._context if self._context is not None else True)
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self._session

    async def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        try:
            async with self._connected().request(
                method,
                f"{self._url}{path}",
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                return response.status, await response.read(), response.headers
        except TimeoutError as error:
            raise no_answer(str(self._url), timeout_s) from error
        except aiohttp.ClientResponseError:
            pass  # the error holds the headers, and with them the key, and what the peer sent
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(str(self._url), str(error) or type(error).__name__) from error
        raise wrong_protocol(str(self._url))
