"""What an article brings to the device, in one transfer that nobody waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from engine.pytorch.search.slots import Rows

_ALIGNMENT: Final = 16


class Field(NamedTuple):
    """A part of what is brought."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Without what aligns the next one."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Staging:
    """A place for each slot's article on the host, and one on the device, to which they come in turn."""

    def __init__(self, fields: Sequence[Field], slots: int, device: str) -> None:
        self._slots, self._cuda = slots, device == "cuda"
        self._fields: dict[str, tuple[int, Field]] = {}
        self._size_bytes = 0
        for field in fields:
            self._fields[field.name] = self._size_bytes, field
            self._size_bytes += -(-field.size_bytes // _ALIGNMENT) * _ALIGNMENT
        self._device = torch.zeros(self._size_bytes, dtype=torch.uint8, device=device)
        self.tensors = {name: self._view(*place) for name, place in self._fields.items()}
        """The article that came last, by name: (1, ...) each, on the device."""
        self._host: torch.Tensor | None = None
        self._sent: list[torch.cuda.Event | None] = [None] * slots

    def send(self, slot: int, rows: Rows) -> None:
        """Bring what belongs into a slot to the device.

        Args:
            slot: Its number: the memory of another slot may still be on its way.
            rows: A part for each field.
        """
        if self._host is None:
            self._host = torch.zeros(self._slots, self._size_bytes, dtype=torch.uint8, pin_memory=self._cuda)
        event = self._sent[slot]
        if event is not None:
            event.synchronize()
        host = self._host[slot].numpy()
        for name, (start, field) in self._fields.items():
            place: npt.NDArray[Any] = host[start : start + field.size_bytes].view(field.dtype).reshape(field.shape)
            place[...] = rows[name]
        self._device.copy_(self._host[slot], non_blocking=True)
        if self._cuda:
            event = self._sent[slot] = torch.cuda.Event()
            event.record()

    def _view(self, start: int, field: Field) -> torch.Tensor:
        dtype = torch.from_numpy(np.empty(0, field.dtype)).dtype
        part = self._device[start : start + field.size_bytes]
        return part.view(dtype).view(1, *field.shape)
