"""A moving average of the weights (Polyak and Juditsky, 1992), which is what is measured and saved.

It forgets the noise of the last steps, so that the same learning rate ends in a better model. The checkpoint keeps
both: the weights that training goes on from, and the average in ``average.safetensors``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from .sharding import copy_whole, whole

AVERAGE_FILE: Final = "average.safetensors"


class WeightAverage:
    """The average of the parameters that are trained; shards are averaged shard by shard."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.names = [name for name, p in model.named_parameters() if p.requires_grad]
        self.own = [p for p in model.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.own]

    def update(self, step: int) -> None:
        """Take the weights in after optimizer step number ``step`` (from 1); young averages forget faster."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_([_local(t) for t in self.average], [_local(p) for p in self.own], weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the average inside this block, and its own weights again after it."""
        current = [p.detach().clone() for p in self.own]
        _copy(self.average, self.own)
        try:
            yield
        finally:
            _copy(current, self.own)

    def save(self, folder: Path, *, write: bool) -> None:
        """Write `AVERAGE_FILE` where ``write`` says so; called by every worker."""
        from safetensors.torch import save_file

        full = {name: whole(tensor).contiguous() for name, tensor in zip(self.names, self.average, strict=True)}
        if write:
            save_file(full, folder / AVERAGE_FILE)

    def load(self, folder: Path) -> None:
        """Go on from a saved average, when there is one."""
        if (folder / AVERAGE_FILE).exists():
            saved = read_average(folder)
            for name, tensor in zip(self.names, self.average, strict=True):
                copy_whole(tensor, saved[name])


def read_average(folder: Path) -> dict[str, torch.Tensor]:
    """Parameter name -> averaged value, of a checkpoint folder."""
    from safetensors.torch import load_file

    return dict(load_file(folder / AVERAGE_FILE))


def _local(tensor: torch.Tensor) -> torch.Tensor:
    part: Any = tensor.detach()
    return part.to_local() if hasattr(part, "to_local") else part


def _copy(sources: list[torch.Tensor], targets: list[Any]) -> None:
    with torch.no_grad():
        for source, target in zip(sources, targets, strict=True):
            target.copy_(source)
