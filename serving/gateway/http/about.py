"""The routes that tell about the server and its models: health, metadata, configuration, statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from aiohttp import web
from tritonclient.grpc import service_pb2

from serving.gateway.catalogue import Catalogue, CatalogueModel
from serving.gateway.refusals import Refusal, RefusedError
from serving.gateway.served import Served, with_served
from serving.gateway.verdict import Verdict

from .documents import dump
from .messages import to_json
from .notes import NOTES
from .protocol import json_response

EXTENSIONS: Final = frozenset(
    {"classification", "model_configuration", "binary_tensor_data", "parameters", "statistics"}
)
"""Those of Triton's extensions that the door offers."""
_TIMEOUT_S: Final = 10.0


class Upstream(Protocol):
    """What these routes need of the channel to Triton."""

    async def call(self, method: str, request: bytes, timeout_s: float | None = None) -> bytes:
        """Ask one method of KServe's gRPC service; raises `RefusedError`."""
        ...


class About:
    """The handlers of these routes.

    Args:
        catalogue: The models.
        upstream: The channel to Triton.
        verdict: Reads what the supervisor says.
        served: What answers each task.
    """

    def __init__(
        self, catalogue: Catalogue, upstream: Upstream, verdict: Callable[[], Verdict], served: Served
    ) -> None:
        self._catalogue = catalogue
        self._served = served
        self._upstream = upstream
        self._verdict = verdict

    async def server(self, _: web.Request) -> web.Response:
        """``GET /v2``."""
        answer = await self._upstream.call("ServerMetadata", b"", _TIMEOUT_S)
        document = to_json(service_pb2.ServerMetadataResponse.FromString(answer))
        document["extensions"] = [name for name in document["extensions"] if name in EXTENSIONS]
        return json_response(dump(document))

    async def live(self, _: web.Request) -> web.Response:
        """``GET /v2/health/live``: this process answers."""
        return web.Response(content_type="text/plain")

    async def ready(self, _: web.Request) -> web.Response:
        """``GET /v2/health/ready``: the supervisor's verdict on the server."""
        verdict = self._verdict()
        if not verdict.ready:
            raise RefusedError(Refusal.AWAY, f"the server is not ready: {verdict.reason}", retry_after_s=1.0)
        return web.Response(content_type="text/plain")

    async def model_ready(self, request: web.Request) -> web.Response:
        """``GET /v2/models/M/ready``: the supervisor's verdict on a model and those that it passes through."""
        verdict, name = self._verdict(), request.match_info["model"]
        found = verdict.model(name)
        if found is None or "version" in request.match_info:
            # Only the public ones have versions, and what is unknown is refused as such. The steps of the public ones
            # tell whether they are ready all the same, since clients list them.
            await self._model(request)
        if found is None or not found.ready:
            reason = verdict.reason or "the supervisor does not know it" if found is None else found.reason
            raise RefusedError(Refusal.AWAY, f"model '{name}' is not ready: {reason}", retry_after_s=1.0)
        return web.Response(content_type="text/plain")

    async def model(self, request: web.Request) -> web.Response:
        """``GET /v2/models/M``."""
        model, version = await self._model(request)
        answer = await self._call("ModelMetadata", service_pb2.ModelMetadataRequest, model, version)
        return json_response(dump(to_json(service_pb2.ModelMetadataResponse.FromString(answer))))

    async def config(self, request: web.Request) -> web.Response:
        """``GET /v2/models/M/config``."""
        model, version = await self._model(request)
        answer = await self._call("ModelConfig", service_pb2.ModelConfigRequest, model, version)
        config = await with_served(service_pb2.ModelConfigResponse.FromString(answer).config, self._served)
        return json_response(dump(to_json(config)))

    async def stats(self, request: web.Request) -> web.Response:
        """``GET /v2/models/M/stats``."""
        model, version = await self._model(request)
        answer = await self._call("ModelStatistics", service_pb2.ModelStatisticsRequest, model, version)
        return json_response(dump(to_json(service_pb2.ModelStatisticsResponse.FromString(answer))))

    async def all_stats(self, _: web.Request) -> web.Response:
        """``GET /v2/models/stats``: of the models that may be asked."""
        if not self._catalogue.models:
            await self._catalogue.refresh()
        models = self._catalogue.models
        answer = await self._upstream.call("ModelStatistics", b"", _TIMEOUT_S)
        document = to_json(service_pb2.ModelStatisticsResponse.FromString(answer))
        document["model_stats"] = [one for one in document["model_stats"] if one["name"] in models]
        return json_response(dump(document))

    async def _model(self, request: web.Request) -> tuple[CatalogueModel, str]:
        version = request.match_info.get("version", "")
        model = await self._catalogue.find(request.match_info["model"], version)
        request[NOTES].model = model.name
        return model, version

    async def _call(self, method: str, message: Any, model: CatalogueModel, version: str) -> bytes:
        return await self._upstream.call(
            method, message(name=model.name, version=version).SerializeToString(), _TIMEOUT_S
        )
