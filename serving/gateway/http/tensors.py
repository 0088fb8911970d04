"""Tensors in JSON to Triton's layout and back."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from serving.gateway.kserve.datatypes import BYTES, DATATYPES, join_strings, split_strings
from serving.gateway.refusals import invalid

from .documents import kind

_FLOAT32_MAX: Final = 3.4028235677973366e38
"""From here on a number rounds to an infinite one of 32 bits."""


def pack(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    """The data of an input, from JSON values in row-major order: one after the other, or nested.

    Raises:
        RefusedError: A value is not of the type, or out of its range.
    """
    if datatype == BYTES:
        return join_strings([_string(name, value) for value in _flat(values)])
    layout = DATATYPES.get(datatype)
    if layout is None:
        raise invalid(f"input '{name}' has the datatype '{datatype[:40]}', which is none: see the model's metadata")
    if not layout.code:
        raise invalid(f"JSON cannot carry {datatype} (input '{name}'): send it as binary data")
    flat = list(_flat(values))
    for value in flat:
        _check_number(name, datatype, value)
    try:
        return struct.pack(f"<{len(flat)}{layout.code}", *flat)
    except (struct.error, OverflowError):
        raise invalid(f"a value of input '{name}' is out of the range of {datatype}") from None


def unpack(datatype: str, data: bytes) -> list[Any]:
    """The values of an output for JSON, in row-major order; bytes that are not UTF-8 become U+FFFD."""
    if datatype == BYTES:
        return [one.decode("utf-8", "replace") for one in split_strings(data)]
    layout = DATATYPES[datatype]
    if not layout.code:
        raise invalid(f"JSON cannot carry {datatype}: ask for the output as binary data")
    return list(struct.unpack(f"<{len(data) // layout.size_bytes}{layout.code}", data))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    """The values of nested arrays; how deep they may be was checked when they were parsed."""
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _string(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise invalid(f"input '{name}' holds strings, not {kind(value)}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise invalid(f"a string of input '{name}' has half a surrogate pair, which is no character") from None


def _check_number(name: str, datatype: str, value: object) -> None:
    if datatype == "BOOL":
        if not isinstance(value, bool):
            raise invalid(f"input '{name}' holds true or false, not {kind(value)}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"input '{name}' holds numbers, not {kind(value)}")
    if DATATYPES[datatype].integer:
        if not isinstance(value, int):
            raise invalid(f"input '{name}' holds whole numbers, not {value!r:.30}")
        return
    try:
        size = abs(float(value))
    except OverflowError:
        size = math.inf
    if size >= (_FLOAT32_MAX if datatype == "FP32" else math.inf):
        raise invalid(f"input '{name}' holds finite numbers of {datatype}, which {float_words(value)} is not")


def float_words(value: float) -> str:
    """A number for a message, however long it is."""
    return f"a number of {len(str(abs(value)))} digits" if isinstance(value, int) else f"{value:g}"
