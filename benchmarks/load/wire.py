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
from infolens.contract import CONTRACTS, ENSEMBLE, SUMMARY_SETTINGS, TEXT, TITLE, Task

METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
KINDS: Final = (ENSEMBLE, *(contract.task.value for contract in CONTRACTS.values()))
"""What can be asked: all three answers at once, or one task alone."""
_TYPES: Final = {setting.name: setting.dtype for setting in SUMMARY_SETTINGS}
_NUMPY: Final = {"INT32": np.int32, "FP32": np.float32}


def model_of(kind: str) -> str:
    """The model that answers one of `KINDS`."""
    return ENSEMBLE if kind == ENSEMBLE else CONTRACTS[Task(kind)].ensemble


def encode(article: Article, *, kind: str, timeout_s: float, settings: Mapping[str, float] | None = None) -> bytes:
    """A serialized ``ModelInferRequest`` that asks for all outputs of `model_of` ``kind``.

    Args:
        article: What is sent.
        kind: One of `KINDS`.
        timeout_s: Time-out that the server is told.
        settings: Settings of the summary by the names of the contract.
    """
    request = service_pb2.ModelInferRequest(model_name=model_of(kind))
    request.parameters["timeout"].int64_param = int(1e6 * timeout_s)
    texts = {TEXT.name: article.text}
    if article.title and kind != Task.SUMMARY:
        texts[TITLE.name] = article.title
    for name, text in texts.items():
        request.inputs.add(name=name, datatype="BYTES", shape=[1, 1])
        request.raw_input_contents.append(serialize_byte_tensor(np.array([[text.encode()]], np.object_)).item())
    for name, value in (settings or {}).items():
        request.inputs.add(name=name, datatype=_TYPES[name], shape=[1, 1])
        request.raw_input_contents.append(np.array([[value]], _NUMPY[_TYPES[name]]).tobytes())
    encoded: bytes = request.SerializeToString()
    return encoded


def failure(code: str, message: str, *, server: str, timeout_s: float) -> ServerError:
    """What the SDK would raise for a failed call; ``code`` is the name of a gRPC status."""
    return to_error(code=code, message=message, server=server, timeout_s=timeout_s)
