"""The initialisers (stored weights and constants) of a graph in the making: in memory, or streamed to a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

INT8_MAX: Final = 127
"""The maximum integer of symmetric int8; -128 is not used."""
_BLOCK: Final = 256
_INSIDE_BYTES: Final = 4096
"""A smaller tensor stays in the graph, because ONNX Runtime expects constants that determine shapes there."""
_PAGE_BYTES: Final = 4096
"""Tensors start at multiples of this, so that a session can map them into memory."""


def quantize_columns(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Symmetric int8 form of a matrix, with one scale for each column.

    Args:
        weight: Shape (rows, columns).

    Returns:
        The int8 matrix of the same shape, and the scales of shape (columns,): ``weight`` is about ``int8 * scales``.
    """
    peak = np.maximum(weight.max(axis=0), -weight.min(axis=0))
    scales = np.where(peak > 0, peak / INT8_MAX, 1.0).astype(np.float32)
    quantized = np.empty(weight.shape, np.int8)
    for start in range(0, len(weight), _BLOCK):  # In blocks, because an embedding alone may be hundreds of megabytes.
        rows = slice(start, start + _BLOCK)
        quantized[rows] = np.clip(np.rint(weight[rows] / scales), -INT8_MAX, INT8_MAX)
    return quantized, scales


class Initializers:
    """The initialisers of a model. They live in the outer graph, and inner graphs refer to them by name.

    Attributes:
        tensors: The initialisers by name.
    """

    def __init__(self, stream: BinaryIO | None = None, location: str = "") -> None:
        """Hold tensors in memory, or write all but the small ones to ``stream``, the file named ``location``."""
        self.tensors: dict[str, onnx.TensorProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._stream, self._location = stream, location

    def add(self, name: str, value: npt.NDArray[Any]) -> str:
        """Store ``value`` under ``name``, once; returns the name."""
        if name not in self.tensors:
            array = np.asarray(value, order="C")
            if self._stream is None or array.nbytes < _INSIDE_BYTES:
                self.tensors[name] = numpy_helper.from_array(array, name)
            else:
                self.tensors[name] = self._written(self._stream, array, name)
        return name

    def _written(self, stream: BinaryIO, array: npt.NDArray[Any], name: str) -> onnx.TensorProto:
        stream.write(bytes(-stream.tell() % _PAGE_BYTES))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape, raw_data=b"")
        set_external_data(tensor, self._location, offset=stream.tell(), length=array.nbytes)
        tensor.ClearField("raw_data")
        stream.write(array.view(np.uint8).data)  # numbers of 8 exponent bits have no buffer of their own
        return tensor

    def constant(self, value: Any, dtype: npt.DTypeLike) -> str:
        """The name of a small constant; equal constants share one name."""
        array = np.asarray(value, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self.add(name, array)
        return self._constants[key]


@contextmanager
def initializers_in(path: Path) -> Iterator[Initializers]:
    """Initialisers that go to the file ``path``, which is flushed to the disk when the block ends."""
    with path.open("wb") as stream:
        yield Initializers(stream, path.name)
        stream.flush()
        os.fsync(stream.fileno())
