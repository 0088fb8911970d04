"""A Triton that is made up, which speaks real gRPC, and doors before it and before the real one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2

from serving.gateway.configuration import GatewayLimits, GatewayOptions
from serving.gateway.logs import open_log
from serving.gateway.parts import Parts
from serving.gateway.server import open_door, open_parts
from serving.runtime import ROOT

REPOSITORY = ROOT / "model_repository"
SERVICE = "inference.GRPCInferenceService"
ADMIN = "triton-grpc-protocol-infolens-admin-key"
KEY = "open sesame"
TRITON_KEY = "the key of the private port"
PATIENCE_S = 30.0
ANSWER = service_pb2.ModelInferResponse(model_name="classify", model_version="1").SerializeToString()
LOCAL = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))

Answers = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class ScriptedTriton:
    """Knows the models of the committed repository; what it answers to an inference is set by the test.

    Attributes:
        answer: Answers ``ModelInfer``.
        asked: Every call so far: the method, its bytes and its metadata.
        arrived: One entry for each inference that has come.
        left: One entry for each inference that was given up by its caller.
    """

    def __init__(self) -> None:
        self.answer: Answers = self.at_once
        self.asked: list[tuple[str, bytes, dict[str, Any]]] = []
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.left: asyncio.Queue[bytes] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.remaining_s: list[float | None] = []
        self._configs = {
            path.parent.name: text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
            for path in REPOSITORY.glob("*/config.pbtxt")
        }

    async def at_once(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return ANSWER

    async def held(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Answers once the test lets go."""
        await self.let_go.wait()
        return ANSWER

    async def serve(self, method: str, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        self.asked.append((method, request, dict(context.invocation_metadata() or ())))
        if method == "ModelInfer":
            self.remaining_s.append(context.time_remaining())
            self.arrived.put_nowait(request)
            try:
                return await self.answer(request, context)
            except asyncio.CancelledError:
                self.left.put_nowait(request)
                raise
        answer: Any = service_pb2.ServerMetadataResponse(name="triton", version="2.51.0")
        if method.startswith("Model"):
            name = service_pb2.ModelConfigRequest.FromString(request).name
            answer = service_pb2.ModelConfigResponse(config=self._configs[name])
            if method == "ModelMetadata":
                answer = service_pb2.ModelMetadataResponse(name=name, versions=["1"])
            elif method == "ModelStatistics":
                answer = service_pb2.ModelStatisticsResponse()
                answer.model_stats.add(name=name, version="1")
        content: bytes = answer.SerializeToString()
        return content

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Its address inside the block."""

        def handler(method: str) -> grpc.RpcMethodHandler:
            async def serve(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
                return await self.serve(method, request, context)

            return grpc.unary_unary_rpc_method_handler(serve)

        names = [method.name for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods]
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {name: handler(name) for name in names}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield f"127.0.0.1:{bound}"
        finally:
            await server.stop(None)


@dataclass(kw_only=True)
class Door:
    """A door that listens, and a channel to its gRPC."""

    parts: Parts
    ports: Mapping[str, int]
    channel: grpc.aio.Channel
    log: BytesIO

    def call(self, method: str, message: Any = b"", service: str = SERVICE, **more: Any) -> Any:
        """Begin a call with a message or its bytes; await the result for the bytes of the answer."""
        content = message if isinstance(message, bytes) else message.SerializeToString()
        return self.channel.unary_unary(f"/{service}/{method}")(
            content, timeout=more.pop("timeout", PATIENCE_S), **more
        )

    async def refused(self, method: str, message: Any = b"", **more: Any) -> tuple[grpc.StatusCode, str]:
        """Code and words of a call that is refused."""
        try:
            answer = await self.call(method, message, **more)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        raise AssertionError(f"{method} was answered with {answer!r}")

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def options(folder: Path, triton: str, *, limits: GatewayLimits | None = None, **more: Any) -> GatewayOptions:
    """Options for free ports."""
    state = folder / "state.json"
    if not state.exists():
        write_state(state)
    keys = {"admin_key": KEY, "triton_admin_key": TRITON_KEY}
    given = {"repository": REPOSITORY, "triton_metrics": "127.0.0.1:9", **keys, **more}
    ports = dict.fromkeys(("http_port", "grpc_port", "metrics_port"), 0)
    return GatewayOptions(triton_grpc=triton, state_file=state, limits=limits or GatewayLimits(), **ports, **given)


@asynccontextmanager
async def opened(settings: GatewayOptions) -> AsyncIterator[Door]:
    """A door in this event loop."""
    log = BytesIO()
    async with (
        open_parts(settings, open_log(log)) as parts,
        open_door(parts) as ports,
        grpc.aio.insecure_channel(f"127.0.0.1:{ports['grpc_port']}", options=LOCAL) as channel,
    ):
        yield Door(parts=parts, ports=ports, channel=channel, log=log)


async def until(condition: Callable[[], bool]) -> None:
    """Let the other tasks go on until something is so of which nothing tells."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def write_state(
    path: Path,
    *,
    ready: bool = True,
    models: Mapping[str, bool] | None = None,
    died: Mapping[str, float] | None = None,
    age_s: float = -1e6,
    **more: Any,
) -> None:
    """The supervisor's verdict; without an age one that never grows old."""
    names = [one.parent.name for one in REPOSITORY.glob("*/config.pbtxt")]
    known = {**dict.fromkeys(names, ready), **(models or {})}
    document = {
        "written_at": time.time() - age_s,
        "ready": ready,
        "reason": "" if ready else "Triton is being started again",
        "models": {
            name: {"ready": one, "reason": "" if one else "its process died", "died_at": (died or {}).get(name)}
            for name, one in known.items()
        },
        "triton": {"pid": 1, "restarts": 0},
        "heals": 0,
        "events": [],
        **more,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document))
    partial.rename(path)


def infer_request(
    model: str = "classify", text: str = "Oil rises.", outputs: tuple[str, ...] = (), **fields: Any
) -> Any:
    """A ``ModelInferRequest`` for one text."""
    message = service_pb2.ModelInferRequest(model_name=model, **fields)
    message.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    content = text.encode()
    message.raw_input_contents.append(len(content).to_bytes(4, "little") + content)
    for name in outputs:
        message.outputs.add(name=name)
    return message


@dataclass(kw_only=True)
class Process:
    """A door in a process of its own."""

    process: subprocess.Popen[bytes]
    ports: Mapping[str, int]
    log_file: Path

    @property
    def grpc_url(self) -> str:
        return f"grpc://127.0.0.1:{self.ports['grpc_port']}"

    def stop(self) -> int:
        """End it in order; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextmanager
def process(folder: Path, triton: str, *, files: int | None = None, **more: Any) -> Iterator[Process]:
    """A door as `python -m serving.gateway` runs it; killed at the end if it still runs."""
    running, door_file = start(folder, triton, files=files, **more), folder / "door.json"
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not door_file.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.02)
            assert running.returncode is None, (folder / "door.log").read_text()
            assert time.monotonic() < until_s
        yield Process(process=running, ports=json.loads(door_file.read_text()), log_file=folder / "door.log")
    finally:
        running.kill()
        running.wait()


def start(folder: Path, triton: str, *, files: int | None = None, **more: Any) -> subprocess.Popen[bytes]:
    """Start a door with options on free ports, and with so many open files to begin with."""
    if not (folder / "state.json").exists():
        write_state(folder / "state.json")
    ports = dict.fromkeys(("http_port", "grpc_port", "metrics_port"), 0)
    document = {
        "triton_grpc": triton,
        "triton_metrics": "127.0.0.1:9",
        "state_file": str(folder / "state.json"),
        "repository": str(REPOSITORY),
        "admin_key": KEY,
        "triton_admin_key": TRITON_KEY,
        **ports,
        **more,
    }
    (folder / "gateway.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "serving.gateway", str(folder / "gateway.json")]
    if files is not None:
        command = ["/bin/sh", "-c", f'ulimit -Sn {files}; exec "$0" "$@"', *command]
    with (folder / "door.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stderr=log,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'clients'}{os.pathsep}{ROOT}"},
        )
