"""The smallest question that a model of its own kind can be asked, for a sign of life."""

from __future__ import annotations

import random
import struct
from typing import Any, Final

from tritonclient.grpc import model_config_pb2, service_pb2

from .models import FAN_OUT, ServedModel, branch_outputs

SHORT: Final = 8
"""Length of a dimension that may have any, where the model's configuration has no example (a warm-up) of it."""
_PACK: Final = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip


def tiny_request(model: ServedModel, chance: random.Random) -> Any:
    """A request that the model can run in the least time.

    Numbers are 0 or 1, which are good as token ids, as masks and as types of tokens alike, and drawn by chance, so that
    no response cache can answer for a model that hangs. Texts are two words. Optional inputs are left out. A fan-out is
    asked for the outputs of its last branch, which takes least time.
    """
    config = model.config
    request = service_pb2.ModelInferRequest(model_name=model.name, id="supervisor")
    lengths = {name: list(sample.dims) for name, sample in _example(config).items()}
    for tensor in config.input:
        if tensor.optional:
            continue
        kind = model_config_pb2.DataType.Name(tensor.data_type).removeprefix("TYPE_").replace("STRING", "BYTES")
        dims = [length if length > 0 else SHORT for length in lengths.get(tensor.name, tensor.dims)]
        shape = [1, *dims] if config.max_batch_size else dims
        request.inputs.append(
            service_pb2.ModelInferRequest.InferInputTensor(name=tensor.name, datatype=kind, shape=shape)
        )
        count = 1
        for length in shape:
            count *= length
        request.raw_input_contents.append(_values(kind, count, chance))
    if model.backend == FAN_OUT and model.asks:
        for name in branch_outputs(model, model.asks[-1]):
            request.outputs.append(service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=name))
    return request


def _example(config: Any) -> dict[str, Any]:
    """The inputs of the model's smallest warm-up, by name."""
    samples = [dict(warmup.inputs) for warmup in config.model_warmup]
    return min(samples, key=lambda inputs: sum(sum(sample.dims) for sample in inputs.values()), default={})


def _values(kind: str, count: int, chance: random.Random) -> bytes:
    if kind == "BYTES":
        text = f"sign {chance.randrange(10**6)}".encode()
        return (struct.pack("<I", len(text)) + text) * count
    if kind == "BF16":
        return bytes(2 * count)
    return struct.pack(f"<{count}{_PACK[kind]}", *(chance.getrandbits(1) for _ in range(count)))
