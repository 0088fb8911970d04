"""What articles bring to the device, in transfers that nobody waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

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
    """A place for each slot's article on the host, and a few on the device, to which they come in turn."""

    def __init__(self, fields: Sequence[Field], slots: int, together: int, device: str) -> None:
        """Make the places on the device; those on the host are made with the first article.

        Args:
            fields: What an article brings.
            slots: Places on the host.
            together: Places on the device: articles that are sent together at most.
            device: Its kind: ``cuda``, ``cpu``.
        """
        self._slots, self._cuda = slots, device == "cuda"
        self._fields: list[tuple[int, Field]] = []
        self._size_bytes = 0
        for field in fields:
            self._fields.append((self._size_bytes, field))
            self._size_bytes += -(-field.size_bytes // _ALIGNMENT) * _ALIGNMENT
        self._device = torch.zeros(together, self._size_bytes, dtype=torch.uint8, device=device)
        self.tensors = {field.name: self._part(start, field) for start, field in self._fields}
        """The articles that came last, by name: (together, ...) each, on the device."""
        self._host: list[torch.Tensor] = []
        self._rows: list[dict[str, npt.NDArray[Any]]] = []
        self._sent: list[torch.cuda.Event | None] = [None] * slots

    def rows(self, slot: int) -> dict[str, npt.NDArray[Any]]:
        """Where to write what an article brings into a slot, by name: what is not written stays as it was.

        It waits for what is still on its way from there.
        """
        if not self._host:
            whole = torch.zeros(self._slots, self._size_bytes, dtype=torch.uint8, pin_memory=self._cuda)
            self._host = list(whole)
            self._rows = [self._views(row.numpy()) for row in self._host]
        if (event := self._sent[slot]) is not None:
            event.synchronize()
        return self._rows[slot]

    def send(self, slots: Sequence[int]) -> None:
        """Bring what belongs into some slots to the device, where they are the first of `tensors`."""
        for place, slot in enumerate(slots):
            self._device[place].copy_(self._host[slot], non_blocking=True)
        if self._cuda:
            event = torch.cuda.Event()
            event.record()
            for slot in slots:
                self._sent[slot] = event

    def _views(self, row: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        return {
            field.name: row[start : start + field.size_bytes].view(field.dtype).reshape(field.shape)
            for start, field in self._fields
        }

    def _part(self, start: int, field: Field) -> torch.Tensor:
        dtype = torch.from_numpy(np.empty(0, field.dtype)).dtype
        part = self._device[:, start : start + field.size_bytes]
        return part.view(dtype).unflatten(1, field.shape) if field.shape else part.view(dtype)[:, 0]
