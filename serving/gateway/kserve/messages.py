"""The SDK's requests and answers as the messages that Triton speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from infolens.wire import DTYPES, InferRequest

from .datatypes import BYTES, join_strings, split_strings

_DATATYPES: Final[Mapping[str, str]] = {np.dtype(one).str: name for name, one in DTYPES.items()}


def to_message(request: InferRequest, request_id: str) -> bytes:
    """A ``ModelInferRequest``, serialised."""
    message = service_pb2.ModelInferRequest(model_name=request.model, id=request_id)
    for name, array in request.inputs.items():
        datatype = _DATATYPES[array.dtype.str]
        content = join_strings(array.ravel().tolist()) if datatype == BYTES else array.tobytes()
        message.inputs.add(name=name, datatype=datatype, shape=array.shape)
        message.raw_input_contents.append(content)
    for name in request.outputs:
        message.outputs.add(name=name)
    for name, value in request.parameters.items():
        message.parameters[name].bool_param = value
    serialised: bytes = message.SerializeToString()
    return serialised


def to_arrays(answer: bytes) -> dict[str, NDArray[Any]]:
    """The outputs of a ``ModelInferResponse`` by name, batch dimension first.

    Raises:
        ValueError: The data of an output is not what its type and shape say.
        KeyError: Its type is none that a task gives.
    """
    response = service_pb2.ModelInferResponse.FromString(answer)
    arrays: dict[str, NDArray[Any]] = {}
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.datatype == BYTES:
            strings = split_strings(data)
            array: NDArray[Any] = np.empty(len(strings), dtype=np.object_)
            array[:] = strings
        else:
            array = np.frombuffer(data, dtype=DTYPES[output.datatype])
        arrays[output.name] = array.reshape(tuple(output.shape))
    return arrays
