"""What the host knows of the searches: copied after each step, and read when it has arrived."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from engine.pytorch.search.slots import Slots

_LAG: Final = 2
"""Steps that are given to a GPU before the end of an earlier one is waited for, so that it never waits for the host."""


class Reports:
    """For each slot whether its search is over, and its best summary so far."""

    def __init__(self, slots: Slots, *, late: bool) -> None:
        """Nothing is known yet; ``late`` where the device goes on by itself, and its copies arrive later."""
        articles, _, longest = slots.tokens.shape
        self._device = torch.zeros(articles, 1 + longest, dtype=torch.int32, device=slots.tokens.device)
        self._late = late
        self.sent = 0
        """Steps so far."""
        self.known = 0
        """The steps of which the host has read what they left."""
        self._newest: npt.NDArray[np.int32] = np.zeros(self._device.shape, np.int32)
        self._ring: list[torch.Tensor] = []
        self._waiting: deque[tuple[int, Any, torch.Tensor]] = deque()

    def write(self, slots: Slots) -> None:
        """The last work of a step."""
        self._device[:, 0].copy_(slots.done)
        self._device[:, 1:].copy_(slots.best_tokens[:, 0])

    def send(self) -> None:
        """Copy what a step has left to the host; waits for an earlier step where the device is behind."""
        self.sent += 1
        if not self._late:
            self._newest[...] = self._device.numpy()
            self.known = self.sent
            return
        if not self._ring:
            shape = self._device.shape
            pinned = self._device.is_cuda
            self._ring = [torch.zeros(shape, dtype=torch.int32, pin_memory=pinned) for _ in range(_LAG + 1)]
        if len(self._waiting) > _LAG:
            self._take(wait=True)
        place = self._ring[self.sent % len(self._ring)]
        place.copy_(self._device, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((self.sent, event, place))

    def poll(self) -> None:
        """Read what has arrived."""
        while self._waiting and self._waiting[0][1].query():
            self._take(wait=False)

    def done(self, slot: int) -> bool:
        """Whether the search of a slot is known to be over."""
        return bool(self._newest[slot, 0])

    def summary(self, slot: int) -> npt.NDArray[np.int64]:
        """Its best summary, INT64 (T,)."""
        return self._newest[slot, 1:].astype(np.int64)

    def _take(self, *, wait: bool) -> None:
        number, event, place = self._waiting.popleft()
        if wait:
            event.synchronize()
        self._newest[...] = place.numpy()
        self.known = number
