"""What goes into a session and comes out of it: names, types and shapes of the tensors of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from engine.tensors import CHOICES, NEXT, QUOTED, STATE, WISHES

_KINDS: Final[Mapping[str, tuple[type[np.generic], int]]] = {
    "tensor(float)": (np.float32, 1),
    "tensor(uint8)": (np.uint8, 2),
    "tensor(int8)": (np.int8, 3),
    "tensor(int32)": (np.int32, 6),
    "tensor(int64)": (np.int64, 7),
    "tensor(bool)": (np.bool_, 9),
    "tensor(float16)": (np.float16, 10),
    "tensor(bfloat16)": (np.uint16, 16),
}
"""By ONNX Runtime's name of a type: the type of its memory in numpy, which has no bfloat16, and its number in ONNX."""
_HOSTED: Final = frozenset(tensor.name for tensor in (*WISHES, *CHOICES))
_TURNING: Final = frozenset(tensor.name for tensor in (*STATE, QUOTED))


@dataclass(frozen=True, kw_only=True)
class Port:
    """A tensor that a step reads, and perhaps writes."""

    name: str
    shape: tuple[int, ...]
    """The first dimension is that of the slots."""
    dtype: npt.DTypeLike
    element: int
    """The type's number in ONNX."""

    @property
    def row_bytes(self) -> int:
        """Bytes of one slot."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The tensors of a step, by who writes them."""

    hosted: tuple[Port, ...]
    """The host, when an article joins."""
    turning: tuple[Port, ...]
    """A step, from one of two buffers into the other."""
    kept: tuple[Port, ...]
    """A step, into the memory that it reads: the caches of the beams."""
    cross: tuple[Port, ...]
    """The encoder."""


def ports_of(
    step: ort.InferenceSession,
    encoder: ort.InferenceSession,
    sizes: Mapping[str, int],
    layout: Mapping[str, tuple[int, ...]] | None = None,
) -> Ports:
    """Read a session's tensors.

    Args:
        step: A step, with or without choices.
        encoder: The encoder that belongs to it.
        sizes: The dimensions that the graph has names for.
        layout: Shapes that tensors have whatever the names of their dimensions.

    Raises:
        ValueError: The graphs do not fit together, or have a type or a dimension that is not known.
    """
    written = {output.name for output in step.get_outputs()}
    encoded = {output.name for output in encoder.get_outputs()}
    found: dict[str, list[Port]] = {"hosted": [], "turning": [], "kept": [], "cross": []}
    for node in step.get_inputs():
        follows = node.name + NEXT in written
        kinds = {
            "hosted": node.name in _HOSTED,
            "turning": node.name in _TURNING and follows,
            "kept": node.name not in _TURNING and follows,
            "cross": node.name in encoded,
        }
        if sum(kinds.values()) != 1:
            raise ValueError(f"the step has an input {node.name!r} that nothing writes: export the model again")
        found[next(kind for kind, applies in kinds.items() if applies)].append(port_of(node, sizes, layout))
    return Ports(**{kind: tuple(ports) for kind, ports in found.items()})


def port_of(node: Any, sizes: Mapping[str, int], layout: Mapping[str, tuple[int, ...]] | None = None) -> Port:
    """One tensor of a session, ``onnxruntime.NodeArg``.

    Raises:
        ValueError: Its type or a dimension is not known.
    """
    if node.type not in _KINDS:
        raise ValueError(f"the type of {node.name!r} is one of {', '.join(_KINDS)}, not {node.type}")
    dtype, element = _KINDS[node.type]
    shape = (layout or {}).get(node.name) or shape_of(node.name, node.shape, sizes)
    return Port(name=node.name, shape=shape, dtype=dtype, element=element)


def shape_of(name: str, dims: Sequence[int | str | None], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The sizes of dimensions of which some have names.

    Raises:
        ValueError: A name is not among the sizes.
    """
    unknown = [dim for dim in dims if not isinstance(dim, int) and dim not in sizes]
    if unknown:
        raise ValueError(f"{name!r} has dimensions {', '.join(sizes)}, not {unknown[0]!r}: export the model again")
    return tuple(dim if isinstance(dim, int) else sizes[str(dim)] for dim in dims)
