"""Requests as bytes, made before they are due: what the load generator does per request is to send them.

The generator shares a machine with the server that it measures, so every microsecond of its own counts. The SDK takes
about 1.7 ms of CPU a request; this takes a sixth of it. How a failed answer is understood is the SDK's own table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from tritonclient.grpc import service_pb2
from tritonclient.utils import serialize_byte_tensor

from infolens import Article, ServerError
from infolens._transports.failures import to_error
from infolens.contract import CONTRACTS, ENSEMBLE, TEXT, TITLE, SummarySetting, Task

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
_NUMPY: Final = {"INT32": np.int32, "FP32": np.float32}


def kinds() -> tuple[str, ...]:
    """What can be asked: all answers at once, or one task alone."""
    return (ENSEMBLE, *(task.value for task in Task))


def tasks_of(kind: str) -> tuple[Task, ...]:
    """The tasks that one of `kinds` asks for."""
    if kind == ENSEMBLE:
        return tuple(task for task, contract in CONTRACTS.items() if contract.by_default)
    return (Task(kind),)


def model_of(kind: str) -> str:
    """The model that answers one of `kinds`."""
    return ENSEMBLE if kind == ENSEMBLE else CONTRACTS[Task(kind)].ensemble


def settings_of(*tasks: Task) -> dict[str, SummarySetting]:
    """What requests for these tasks may set, by name."""
    return {setting.name: setting for task in tasks for setting in CONTRACTS[task].settings}


def encode(article: Article, *, kind: str, timeout_s: float, settings: Mapping[str, float] | None = None) -> bytes:
    """A serialized ``ModelInferRequest`` that asks for all outputs of `model_of` ``kind``.

    Args:
        article: What is sent.
        kind: One of `kinds`.
        timeout_s: Time-out that the server is told.
        settings: What the request sets, by the names of the contract.
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
        dtype = known[name].dtype
        request.inputs.add(name=name, datatype=dtype, shape=[1, 1])
        request.raw_input_contents.append(np.array([[value]], _NUMPY[dtype]).tobytes())
    encoded: bytes = request.SerializeToString()
    return encoded


def failure(code: str, message: str, *, server: str, timeout_s: float) -> ServerError:
    """What the SDK would raise for a failed call; ``code`` is the name of a gRPC status."""
    return to_error(code=code, message=message, server=server, timeout_s=timeout_s)
