"""How the executor computes: the same tokens whatever is chosen."""

from __future__ import annotations

from dataclasses import dataclass

from engine.pytorch.model.layers import ATTENTION


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the same tokens are computed."""

    graphs: bool = True
    """Capture CUDA graphs where the device is a GPU."""
    compiler: str = ""
    """A backend of ``torch.compile`` for the layers and the search, such as ``inductor``; empty for none."""
    tuned: bool = False
    """Whether the compiler times several kernels for each product of a step; it takes a minute."""
    attention: str = "efficient"
    """A key of `ATTENTION`."""
    chunked: bool = True
    """Whether the best words are searched for part by part of the vocabulary."""

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION:
            raise ValueError(f"attention is one of {', '.join(ATTENTION)}, not {self.attention!r}")
        if self.tuned and self.compiler != "inductor":
            raise ValueError(f"tuned needs the compiler 'inductor', which has such kernels, not {self.compiler!r}")
