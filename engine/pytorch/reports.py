"""What the host knows of the searches: copied after each step, and read when it has arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from engine.article import Integers
from engine.pytorch.search.slots import Slots

_LAG: Final = 2
"""Steps that are given to a GPU before the end of an earlier one is waited for, so that it never waits for the host."""


@dataclass(eq=False, slots=True, kw_only=True)
class Tenant:
    """An article in a slot."""

    plain: bool
    """Whether it neither quotes nor draws."""
    summary: Integers | None = None
    """What is known to be its summary, INT64 (T,)."""


class Reports:
    """For each slot whether its search is over, and its best summary so far.

    A report names the articles that were in the slots when its step began. So one that arrives after an article has
    left or moved, or after another one has joined, still says what it says of the right one.
    """

    def __init__(self, slots: Slots, *, late: bool) -> None:
        """Nothing is known yet; ``late`` where the device goes on by itself, and its copies arrive later."""
        articles, _, longest = slots.tokens.shape
        self._device = torch.zeros(articles, 1 + longest, dtype=torch.int32, device=slots.tokens.device)
        self._late = late
        self._host: list[torch.Tensor] = []
        self._rows: list[npt.NDArray[np.int32]] = []
        self._events: list[Any] = []
        self._sent = 0
        self._waiting: deque[tuple[int, Sequence[Tenant | None]]] = deque()

    def write(self, slots: Slots) -> None:
        """The last work of a step of the first slots."""
        rows = self._device[: len(slots.done)]
        rows[:, 0].copy_(slots.done)
        rows[:, 1:].copy_(slots.best_tokens[:, 0])

    def send(self, tenants: Sequence[Tenant | None]) -> None:
        """Copy what a step has left to the host; waits for an earlier step where the device is behind.

        Args:
            tenants: The articles in the first slots, which the step has continued; it must not change any more.
        """
        if not self._host:
            self._make_places()
        if len(self._waiting) == len(self._host):
            self._events[self._waiting[0][0]].synchronize()
            self._take()
        turn, count = self._sent % len(self._host), len(tenants)
        self._sent += 1
        self._host[turn][:count].copy_(self._device[:count], non_blocking=self._late)
        self._waiting.append((turn, tenants))
        if self._late:
            self._events[turn].record()
        else:
            self._take()

    def poll(self) -> None:
        """Read what has arrived."""
        while self._waiting and self._events[self._waiting[0][0]].query():
            self._take()

    def _make_places(self) -> None:
        count, pinned = _LAG + 1 if self._late else 1, self._device.is_cuda
        for _ in range(count):
            self._host.append(torch.zeros(self._device.shape, dtype=torch.int32, pin_memory=pinned))
        self._rows = [host.numpy() for host in self._host]
        self._events = [torch.cuda.Event() for _ in range(count)] if self._late else []

    def _take(self) -> None:
        turn, tenants = self._waiting.popleft()
        rows = self._rows[turn]
        for slot, (tenant, done) in enumerate(zip(tenants, rows[: len(tenants), 0].tolist(), strict=True)):
            if done and tenant is not None and tenant.summary is None:
                tenant.summary = rows[slot, 1:].astype(np.int64)
