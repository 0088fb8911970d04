"""The two routes that ask models: ``/infer`` and ``/generate``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from aiohttp import web
from tritonclient.grpc import service_pb2

from serving.gateway.admission import Place
from serving.gateway.calls import Inferences
from serving.gateway.catalogue import Catalogue, CatalogueModel
from serving.gateway.checking import TIMEOUT, Parameter, timeout_s
from serving.gateway.configuration import GatewayOptions
from serving.gateway.kserve.classification import put_in, take_out
from serving.gateway.recording.recorder import HEADER, Recorder
from serving.gateway.refusals import expired

from .answered import write_infer
from .asked import Asked, read_infer
from .body import Bodies
from .generate import read_generate, write_generate
from .notes import CALLER, NOTES
from .protocol import encoded_response

LENGTH_HEADER: Final = "Inference-Header-Content-Length"
MAX_ANSWER_S: Final = 300.0
"""How long an answer may take whose caller names no time."""
_BINARY: Final = "application/octet-stream"


class Room(Protocol):
    """What these routes need of the waiting room."""

    def enter(self, branches: Collection[str], deadline_s: float | None = None) -> AbstractAsyncContextManager[Place]:
        """Hold a place in each branch; raises `RefusedError`."""
        ...


class Inference:
    """The handlers of both routes.

    Args:
        bodies: Reads the bodies of requests.
        options: How the door runs.
        catalogue: The models.
        inferences: What asks Triton.
        room: Where requests wait.
        recorder: Notes the answers.
        branches: What tells the branches that a request asks, by model, outputs and parameters.
    """

    def __init__(
        self,
        bodies: Bodies,
        options: GatewayOptions,
        catalogue: Catalogue,
        inferences: Inferences,
        room: Room,
        recorder: Recorder,
        branches: Callable[[CatalogueModel, Collection[str], Mapping[str, Parameter]], Collection[str]],
    ) -> None:
        self._bodies = bodies
        self._limits = options.limits
        self._catalogue = catalogue
        self._inferences = inferences
        self._room = room
        self._recorder = recorder
        self._branches = branches

    async def infer(self, request: web.Request) -> web.Response:
        """``POST /v2/models/M/infer``."""
        async with self._bodies.read(request) as body:
            model, version = await self._model(request, body)
            header_length = request.headers.get(LENGTH_HEADER)
            asked = read_infer(body, header_length, model, version, self._limits)
            answer, headers = await self._ask(request, asked, model)
            content, length = write_infer(answer, asked)
        if length is not None:
            headers[LENGTH_HEADER] = str(length)
        return encoded_response(
            request, content, headers=headers, content_type=_BINARY if length is not None else "application/json"
        )

    async def generate(self, request: web.Request) -> web.Response:
        """``POST /v2/models/M/generate``."""
        async with self._bodies.read(request) as body:
            model, version = await self._model(request, body)
            asked = read_generate(body, model, version, self._limits)
            answer, headers = await self._ask(request, asked, model)
            content = write_generate(answer)
        return encoded_response(request, content, headers=headers)

    async def _model(self, request: web.Request, body: bytes) -> tuple[CatalogueModel, str]:
        """The model that is asked, and its version."""
        notes = request[NOTES]
        notes.bytes_in, notes.started_s = len(body), asyncio.get_running_loop().time()
        name, version = request.match_info["model"], request.match_info.get("version", "")
        model = await self._catalogue.find(name, version)
        notes.model = model.name
        return model, version

    async def _ask(self, request: web.Request, asked: Asked, model: CatalogueModel) -> tuple[Any, dict[str, str]]:
        """Triton's answer, classified where that was asked for, and the header that says under which id it is kept."""
        message = asked.message
        counts = take_out(message)
        allowed_s = timeout_s(asked.view.parameters)
        until_s = asyncio.get_running_loop().time() + (allowed_s or MAX_ANSWER_S)
        branches = self._branches(model, [output.name for output in asked.view.outputs], asked.view.parameters)
        async with self._room.enter(branches, allowed_s) as place:
            left_s = until_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise expired()
            if allowed_s is not None:  # what it has waited here counts too
                message.parameters[TIMEOUT].int64_param = max(1, int(1e6 * left_s))
            content = message.SerializeToString()
            answer = await self._inferences.infer(content, model.name, branches, left_s, place=place)
        response = service_pb2.ModelInferResponse.FromString(answer)
        if counts:
            put_in(response, counts, model.labels, batched=model.max_batch_size > 0)
        key, route = request[CALLER].name, request[NOTES].route
        noted = self._recorder.inferred(model, asked.view, content, answer, key=key, route=route)
        return response, {} if noted is None else {HEADER: noted}
