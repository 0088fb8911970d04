"""Requests as bytes, made before they are due, so that sending is all that the load generator does for a request.

The generator shares a machine with the server that it measures, so every microsecond of its own counts. The SDK takes
about 1.7 ms of CPU a request; this takes a sixth of it. A failed call is read from its gRPC status; tests hold that
against what the SDK raises for the same call.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, Final

import grpc
import numpy as np
from tritonclient.grpc import service_pb2
from tritonclient.utils import serialize_byte_tensor

from infolens import Article
from infolens.contract import CONTRACTS, TEXT, TITLE

from .articles import model_of, settings_of, tasks_of
from .server import BenchmarkError

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
NO_PROXY: Final = (("grpc.enable_http_proxy", 0),)
"""Options of a channel: no proxy stands between a server and what measures it."""
_NUMPY: Final = {"INT32": np.int32, "FP32": np.float32, "BYTES": np.object_}
_BUSY: Final = re.compile(r"server is busy|max(imum)? queue size|queue is full|too many requests", re.IGNORECASE)
"""What Triton and ``fan_out`` say, under the status UNAVAILABLE, when they refuse a request that would have to wait."""
_EXPIRED: Final = re.compile(r"timeout expired", re.IGNORECASE)
"""What they say of a request whose time was up before it ran."""


class RequestOutcome(StrEnum):
    """What became of a request."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """The server said at once that it is too busy."""
    LATE = "late"
    """No answer within its time-out."""
    FAILED = "failed"
    LEFT = "left"
    """The caller went away before the answer, as it was told to."""


def key_metadata() -> tuple[tuple[str, str], ...]:
    """What a server with keys wants beside each request, by the SDK's variable ``INFOLENS_API_KEY``."""
    key = os.environ.get("INFOLENS_API_KEY", "")
    return (("authorization", f"Bearer {key}"),) if key else ()


def encode(article: Article, *, kind: str, timeout_s: float, settings: Mapping[str, float] | None = None) -> bytes:
    """A serialized ``ModelInferRequest`` that asks for all outputs of `model_of` ``kind``.

    Args:
        article: What is sent.
        kind: One of `kinds`.
        timeout_s: Time-out that the server is told.
        settings: What the request sets, by the names of the contract; a word by its index in the choices.
    """
    tasks = tasks_of(kind)
    request = service_pb2.ModelInferRequest(model_name=model_of(kind))
    request.parameters["timeout"].int64_param = int(1e6 * timeout_s)
    texts = {TEXT.name: article.text}
    if article.title and any(TITLE.name in CONTRACTS[task].reads for task in tasks):
        texts[TITLE.name] = article.title
    for name, text in texts.items():
        request.inputs.add(name=name, datatype="BYTES", shape=[1, 1])
        request.raw_input_contents.append(serialize_byte_tensor(np.array([[text.encode()]], np.object_)).item())
    known = settings_of(*tasks) if settings else {}
    for name, value in (settings or {}).items():
        dtype, choices = known[name].dtype, known[name].choices
        request.inputs.add(name=name, datatype=dtype, shape=[1, 1])
        array: Any = np.array([[choices[int(value)].encode() if choices else value]], _NUMPY[dtype])
        request.raw_input_contents.append(serialize_byte_tensor(array).item() if choices else array.tobytes())
    encoded: bytes = request.SerializeToString()
    return encoded


def grpc_address(url: str) -> str:
    """The address that gRPC takes, ``127.0.0.1:8001`` of ``grpc://127.0.0.1:8001``.

    Raises:
        BenchmarkError: The URL is one of another protocol, or of a part of a server.
    """
    scheme, mark, address = url.rpartition("://")
    address = address.removesuffix("/")
    if (mark and scheme != "grpc") or not address or any(char in "/?#@ " for char in address):
        raise BenchmarkError(f"what is measured is asked over gRPC, at grpc://HOST:PORT, not at {url!r}")
    return address if ":" in address.rpartition("]")[2] else f"{address}:8001"


@asynccontextmanager
async def open_channel(grpc_url: str, *, timeout_s: float = 10.0) -> AsyncIterator[grpc.aio.Channel]:
    """A channel for many requests at once to the server at ``grpc_url``, such as ``grpc://127.0.0.1:8001``.

    Raises:
        BenchmarkError: Nobody listens there, or nobody answers within ``timeout_s``.
    """
    async with grpc.aio.insecure_channel(grpc_address(grpc_url), options=NO_PROXY) as channel:
        try:
            await asyncio.wait_for(_connected(channel), timeout_s)
        except (TimeoutError, ConnectionError) as error:
            reason = str(error) or f"no answer within {timeout_s:g} s"
            raise BenchmarkError(
                f"cannot reach {grpc_url} ({reason}); start the server, or name another with --server"
            ) from error
        yield channel


async def _connected(channel: grpc.aio.Channel) -> None:
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
            raise ConnectionError("the connection was refused")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


def outcome_of(error: grpc.RpcError) -> RequestOutcome:
    """What a call that ended with an error comes to: refused, late, or failed for any other reason."""
    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED or (code is grpc.StatusCode.UNAVAILABLE and _BUSY.search(message)):
        return RequestOutcome.REFUSED
    expired = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL) and _EXPIRED.search(message)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED or expired:
        return RequestOutcome.LATE
    return RequestOutcome.FAILED


def reason_of(error: grpc.RpcError) -> str:
    """Status and message of a call that ended with an error, in one line."""
    return f"{error.code().name}: {' '.join((error.details() or 'no reason was given').split())}"
