"""Classification: the highest elements of an output with their labels, made here and never by Triton.

Triton 2.51 ends with a division error when it is asked of an output of strings, and gives no labels for a model that
asks others itself. So a request goes on without the parameter, and the answer is ranked here, in Triton's own form:
``0.940012:8:Sports``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .datatypes import BYTES, DATATYPES, join_strings

CLASSIFICATION: Final = "classification"
"""The parameter of an output that asks for its highest elements with their labels."""


def take_out(request: Any) -> dict[str, int]:
    """Take the parameter out of a ``ModelInferRequest`` that was checked.

    Returns:
        How many classes are wanted of each output that asked for some.
    """
    counts = {}
    for output in request.outputs:
        if CLASSIFICATION in output.parameters:
            value = output.parameters[CLASSIFICATION]
            counts[output.name] = int(getattr(value, value.WhichOneof("parameter_choice")))
            del output.parameters[CLASSIFICATION]
    return counts


def put_in(response: Any, counts: Mapping[str, int], labels: Mapping[str, Sequence[str]], *, batched: bool) -> None:
    """Replace outputs of a ``ModelInferResponse`` by their classes: BYTES [rows, classes], or [classes] unbatched.

    Args:
        response: The answer, its data in ``raw_output_contents``.
        counts: What `take_out` returned.
        labels: What the elements of each output stand for, by its name; empty where nobody says.
        batched: Whether the first dimension of the outputs is that of the batch.
    """
    for place, output in enumerate(response.outputs):
        if output.name not in counts:
            continue
        rows = output.shape[0] if batched else 1
        datatype = DATATYPES[output.datatype]
        data = response.raw_output_contents[place]
        values = struct.unpack(f"<{len(data) // datatype.size_bytes}{datatype.code}", data)
        width = math.prod(output.shape) // max(1, rows)
        classes: list[bytes] = []
        for row in range(rows):
            classes += _ranked(
                values[row * width : (row + 1) * width], counts[output.name], labels.get(output.name, ())
            )
        output.datatype = BYTES
        del output.shape[:]
        output.shape.extend([rows, min(counts[output.name], width)] if batched else [len(classes)])
        response.raw_output_contents[place] = join_strings(classes)


def _ranked(values: tuple[float, ...], count: int, labels: Sequence[str]) -> list[bytes]:
    """The highest of one row, the highest first and equal ones in their order."""
    best = sorted(range(len(values)), key=lambda index: -values[index])[:count]
    return [
        f"{_number(values[index])}:{index}{f':{labels[index]}' if index < len(labels) else ''}".encode()
        for index in best
    ]


def _number(value: float) -> str:
    return f"{value:.6f}" if isinstance(value, float) else str(int(value))
