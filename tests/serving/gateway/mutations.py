"""Requests gone wrong in every way that a byte can, from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.serving.gateway.scripted import infer_request

NUMBERS = (0, 1, 2, 127, 128, 255, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
TYPES = ("BYTES", "INT32", "FP32", "INT64", "BOOL", "FP16", "", "bytes", "TYPE_STRING")
NAMES = ("text", "title", "min_length", "category", "summary", "failed", "", "input_ids", "x" * 300)
PARAMETERS = ("classification", "shared_memory_region", "timeout", "priority", "sequence_id", "partial", "binary_data")


def mutated(count: int, seed: int = 15) -> Iterator[bytes]:
    """Requests, most of them broken; the same ones for the same seed."""
    source = random.Random(seed)
    for number in range(count):
        model = source.choice(("classify", "summarize", "verify", "info_lens", "info_lens", "bart", ""))
        message = infer_request(model, text="word " * source.choice((0, 1, 5, 60)))
        for _ in range(source.choice((0, 0, 1, 2, 5))):
            _change_message(message, source)
        content = message.SerializeToString()
        if number % 3 == 0:
            for _ in range(source.choice((1, 1, 2, 4, 16))):
                content = _change_bytes(content, source)
        yield content


def _change_message(message: object, source: random.Random) -> None:
    one = source.choice(message.inputs or [message.inputs.add()])  # type: ignore[attr-defined]
    kind = source.choice((0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 9))
    if kind == 0:
        one.shape[:] = [source.choice(NUMBERS[:10]) - source.choice((0, 1)) for _ in range(source.randrange(5))]
    elif kind == 1:
        one.datatype = source.choice(TYPES)
    elif kind == 2:
        one.name = source.choice(NAMES)
    elif kind == 3:
        _set(source.choice((one.parameters, message.parameters)), source)  # type: ignore[attr-defined]
    elif kind == 4:
        output = message.outputs.add(name=source.choice(NAMES))  # type: ignore[attr-defined]
        if source.random() < 0.5:
            output.parameters["classification"].int64_param = source.choice((-1, 0, 1, 2, 1000))
    elif kind == 5:
        message.inputs.add(name=source.choice(NAMES), datatype=source.choice(TYPES), shape=[1, 1])  # type: ignore[attr-defined]
    elif kind == 6:
        message.raw_input_contents.append(source.randbytes(source.randrange(20)))  # type: ignore[attr-defined]
    elif kind == 7:
        message.ClearField("raw_input_contents")  # type: ignore[attr-defined]
    elif kind == 8:
        one.contents.int_contents.extend([1] * source.randrange(3))
    else:
        one.contents.bytes_contents.extend([b"a"] * source.randrange(3))


def _set(parameters: object, source: random.Random) -> None:
    value = parameters[source.choice(PARAMETERS)]  # type: ignore[index]
    kind = source.randrange(5)
    if kind == 0:
        value.int64_param = source.choice((-1, 0, 1, 2, 3, 2**31, 2**63 - 1))
    elif kind == 1:
        value.string_param = source.choice(("", "1", "region"))
    elif kind == 2:
        value.bool_param = source.random() < 0.5
    elif kind == 3:
        value.double_param = source.choice((0.0, 1.0, float("nan"), float("inf")))


def _change_bytes(content: bytes, source: random.Random) -> bytes:
    place = source.randrange(len(content) + 1)
    kind = source.randrange(6)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes([source.randrange(256)]) + content[place + 1 :]
    if kind == 2:
        return content[:place] + source.randbytes(source.randrange(1, 8)) + content[place:]
    if kind == 3:
        return content[:place] + content[place + source.randrange(1, 8) :]
    if kind == 4:
        return content + content[place:]
    number, varint = source.choice(NUMBERS), bytearray()
    while number > 127:
        varint.append(number & 127 | 128)
        number >>= 7
    return content[:place] + bytes([*varint, number]) + content[place + 1 :]
