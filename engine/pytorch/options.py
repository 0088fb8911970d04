"""How the executor computes: the same tokens whatever is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from engine.pytorch.model.layers import ATTENTION

AUTO: Final = "auto"
STEPS: Final = (AUTO, "torch", "triton")


def best_attention(device: str, dtype: torch.dtype) -> str:
    """The fastest way to compute attention that a device has for a number format: a key of `ATTENTION`."""
    if device == "cuda" and dtype.itemsize == torch.float16.itemsize and torch.backends.cudnn.is_available():
        # cuDNN has no such kernels for older cards.
        return "cudnn" if torch.cuda.get_device_capability() >= (8, 0) else "efficient"
    return "efficient"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the same tokens are computed."""

    graphs: bool = True
    """Capture CUDA graphs where the device is a GPU."""
    compiler: str = ""
    """A backend of ``torch.compile`` for the layers and the search, such as ``inductor``; empty for none."""
    tuned: bool = False
    """Whether the compiler times several kernels for each product of a step; it takes a minute."""
    attention: str = AUTO
    """A key of `ATTENTION`, or ``auto`` for what `best_attention` names."""
    step: str = AUTO
    """What computes a step: PyTorch's operators (``torch``), or kernels of our own (``triton``), which are for GPUs;
    ``auto`` takes the latter wherever they run, unless there is a compiler."""
    chunked: bool = True
    """Whether the best words are searched for part by part of the vocabulary."""

    def __post_init__(self) -> None:
        if self.attention not in {AUTO, *ATTENTION}:
            raise ValueError(f"attention is one of {', '.join((AUTO, *ATTENTION))}, not {self.attention!r}")
        if self.step not in STEPS:
            raise ValueError(f"step is one of {', '.join(STEPS)}, not {self.step!r}")
        if self.step == "triton" and self.compiler:
            raise ValueError(
                f"a compiler is for steps of PyTorch's operators: set step to 'torch' for {self.compiler!r}"
            )
        if self.tuned and self.compiler != "inductor":
            raise ValueError(f"tuned needs the compiler 'inductor', which has such kernels, not {self.compiler!r}")
