"""A Triton that is made up: it knows the models, and answers what a test wants."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2

from serving.gateway.kserve.datatypes import DATATYPES, join_strings
from serving.gateway.refusals import Refusal, RefusedError
from serving.runtime import ROOT

REPOSITORY = ROOT / "model_repository"


class FakeTriton:
    """Knows the models of a repository by their configurations, and answers with outputs of zeros.

    Attributes:
        requests: Every ``ModelInferRequest`` that came.
        times_s: The time that the door gave each of them.
        answering: Set: answers go out. Clear: they wait.
        cancelled: Set once a request was given up by the door.
        failure: Raised in the place of every answer, unless None.
    """

    def __init__(self, repository: Path = REPOSITORY) -> None:
        self.configs: dict[str, Any] = {}
        for path in repository.glob("*/config.pbtxt"):
            self.configs[path.parent.name] = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
        self.requests: list[Any] = []
        self.times_s: list[float | None] = []
        self.answering = threading.Event()
        self.answering.set()
        self.arrived, self.cancelled = threading.Event(), threading.Event()
        self.failure: Exception | None = None
        self.values: Mapping[str, bytes] = {}

    async def call(self, method: str, request: bytes, timeout_s: float | None = None, metadata: Any = ()) -> bytes:
        asked = service_pb2.ModelConfigRequest.FromString(request)
        if self.failure is not None:
            raise self.failure
        if method == "ServerMetadata":
            answer: Any = service_pb2.ServerMetadataResponse(name="triton", version="2.51.0", extensions=["logging"])
        elif method == "ModelStatistics":
            answer = service_pb2.ModelStatisticsResponse()
            for name in self.configs:
                answer.model_stats.add(name=name, version="1")
        elif asked.name not in self.configs:
            raise RefusedError(Refusal.NOT_FOUND, f"Request for unknown model: '{asked.name}' is not found")
        elif method == "ModelConfig":
            answer = service_pb2.ModelConfigResponse(config=self.configs[asked.name])
        else:
            answer = service_pb2.ModelMetadataResponse(name=asked.name, versions=["1"])
        message: bytes = answer.SerializeToString()
        return message

    async def infer(self, request: bytes, timeout_s: float | None = None, *, trailers: Any = None) -> bytes:
        asked = service_pb2.ModelInferRequest.FromString(request)
        self.requests.append(asked)
        self.times_s.append(timeout_s)
        self.arrived.set()
        try:
            while not self.answering.is_set():
                await asyncio.to_thread(self.answering.wait, 0.01)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure
        config = self.configs[asked.model_name]
        rows = asked.inputs[0].shape[0]
        wanted = [one.name for one in asked.outputs] or [one.name for one in config.output]
        answer = service_pb2.ModelInferResponse(model_name=asked.model_name, model_version="1", id=asked.id)
        for output in (one for one in config.output if one.name in wanted):
            datatype = model_config_pb2.DataType.Name(output.data_type).removeprefix("TYPE_").replace("STRING", "BYTES")
            answer.outputs.add(name=output.name, datatype=datatype, shape=[rows, *output.dims])
            count = rows * output.dims[0]
            zeros = (
                join_strings([b"x"] * count) if datatype == "BYTES" else bytes(count * DATATYPES[datatype].size_bytes)
            )
            answer.raw_output_contents.append(self.values.get(output.name, zeros))
        message: bytes = answer.SerializeToString()
        return message
