"""The loss of a run's newest steps, taken as seldom as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class RecentLoss:
    """The mean loss of this worker's steps since it was last taken; kept on the GPU until then."""

    def __init__(self) -> None:
        self.total: torch.Tensor | None = None
        self.step = 0

    def add(self, loss: torch.Tensor) -> None:
        """Add a batch's share of its step's loss."""
        self.total = loss if self.total is None else self.total + loss

    def take(self, step: int) -> float | None:
        """The mean loss of the steps until number ``step``; None where there was none. Waits for the GPU."""
        steps, total = step - self.step, self.total
        self.step, self.total = step, None
        if total is None or steps < 1:
            return None
        loss: float = total.item() / steps
        return loss
