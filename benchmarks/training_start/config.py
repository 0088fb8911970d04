"""Which training runs `training-start` compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.server import ROOT


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """What is run, and how often."""

    rounds: int = 3
    """Turns of each side."""
    steps: int = 50
    """Optimizer steps of each run."""
    workers: tuple[int, ...] = (0, 1)
    """Each is a side: 0 trains in the process of the command, 1 and more with Ray."""
    against: Path | None = None
    """Another checkout, by its whole path, which is a side too, with its own default of workers."""

    def __post_init__(self) -> None:
        for name in ("rounds", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if any(number < 0 for number in self.workers):
            raise ValueError(f"workers is 0 (no Ray) or more, not {min(self.workers)}")
        if self.against is not None and not (self.against / "training" / "__main__.py").is_file():
            raise ValueError(f"the other checkout has training/__main__.py, but {self.against} has none")


@dataclass(frozen=True, kw_only=True)
class Side:
    """A way to train."""

    name: str
    root: Path = ROOT
    """The checkout whose ``training`` is run."""
    workers: int | None = None
    """None for the default of the checkout."""


def sides_of(config: StartConfig) -> tuple[Side, ...]:
    """The sides, in the order in which they take turns."""
    ours = tuple(Side(name=f"workers={number}", workers=number) for number in dict.fromkeys(config.workers))
    if config.against is None:
        return ours
    return (*ours, Side(name=f"other checkout ({config.against.name})", root=config.against))
