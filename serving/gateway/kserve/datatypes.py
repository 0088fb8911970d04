"""KServe's datatypes: how many bytes an element has, and how elements are laid out in ``raw_input_contents``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

BYTES: Final = "BYTES"
"""Strings: each element is its length (4 bytes, little endian) and that many bytes."""


@dataclass(frozen=True, kw_only=True)
class Datatype:
    """How the elements of one datatype are laid out."""

    size_bytes: int
    code: str = ""
    """The letter of `struct` that packs one; empty where JSON cannot carry the type."""
    integer: bool = False


DATATYPES: Final[Mapping[str, Datatype]] = {
    "BOOL": Datatype(size_bytes=1, code="?"),
    "UINT8": Datatype(size_bytes=1, code="B", integer=True),
    "UINT16": Datatype(size_bytes=2, code="H", integer=True),
    "UINT32": Datatype(size_bytes=4, code="I", integer=True),
    "UINT64": Datatype(size_bytes=8, code="Q", integer=True),
    "INT8": Datatype(size_bytes=1, code="b", integer=True),
    "INT16": Datatype(size_bytes=2, code="h", integer=True),
    "INT32": Datatype(size_bytes=4, code="i", integer=True),
    "INT64": Datatype(size_bytes=8, code="q", integer=True),
    "FP16": Datatype(size_bytes=2),
    "BF16": Datatype(size_bytes=2),
    "FP32": Datatype(size_bytes=4, code="f"),
    "FP64": Datatype(size_bytes=8, code="d"),
}
"""All of one size; `BYTES` is the one that is not."""


def count_strings(data: bytes | memoryview, *, at_most: int) -> int:
    """How many elements of `BYTES` there are, without copying one; counting ends above ``at_most``.

    Raises:
        ValueError: A length reaches beyond the data.
    """
    place, count, end = 0, 0, len(data)
    while place < end and count <= at_most:
        start = place + 4
        place = start + int.from_bytes(data[place:start], "little")
        if start > end or place > end:
            raise ValueError(f"element {count} reaches beyond the data, which has {end} bytes")
        count += 1
    return count


def split_strings(data: bytes) -> list[bytes]:
    """The elements of `BYTES`.

    Raises:
        ValueError: A length reaches beyond the data.
    """
    found: list[bytes] = []
    place = 0
    while place < len(data):
        start = place + 4
        place = start + int.from_bytes(data[place:start], "little")
        if place > len(data):
            raise ValueError(f"element {len(found)} reaches beyond the data, which has {len(data)} bytes")
        found.append(data[start:place])
    return found


def join_strings(strings: list[bytes]) -> bytes:
    """The inverse of `split_strings`."""
    return b"".join(len(one).to_bytes(4, "little") + one for one in strings)
