"""Which engines there are, and what of them is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infolens.contract import Task

from .environment import CACHE

LABELS: Final = {
    "infolens": "Info Lens in process, int8",
    "triton": "Info Lens through Triton, int8",
    "openvino": "OpenVINO (optimum-intel), int8",
    "ctranslate2": "CTranslate2, int8",
    "optimum": "optimum + ONNX Runtime, fp32",
    "transformers": "transformers, fp32",
}
"""The engines, in the order of the report."""
OURS: Final = ("infolens", "triton")
REFERENCE: Final = "infolens"
"""Ratios are taken against this engine."""
EXACT: Final = "transformers"
"""Answers are compared with this engine's."""


@dataclass(frozen=True, kw_only=True)
class PeersConfig:
    """What is measured, and how often."""

    tasks: tuple[Task, ...] = field(default_factory=lambda: tuple(Task))
    engines: tuple[str, ...] = tuple(LABELS)
    size: str = "full"
    """A name of `fixtures.SIZES`."""
    fixtures: Path = CACHE / "fixtures"
    batches: tuple[int, ...] = ()
    """Articles in one call; without any, each task's own."""
    rounds: int = 5
    threads: int = 2
    minimum_turn_s: float = 0.5
    """An engine's turn lasts at least this long, however short one call is."""
    maximum_runs: int = 50
    """Maximum calls in one turn."""
    cache: Path = CACHE

    def __post_init__(self) -> None:
        for name in ("rounds", "threads", *(["batches"] if self.batches else [])):
            value = getattr(self, name)
            if min(value) < 1 if isinstance(value, tuple) else value < 1:
                raise ValueError(f"{name} is at least 1, not {value}")
        unknown = set(self.engines) - set(LABELS)
        if unknown:
            raise ValueError(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(LABELS)}")
